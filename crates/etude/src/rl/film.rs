//! A few pictures of an episode, for a page.

use std::fmt::Write as _;
use std::path::Path;

use etude_rl::render::{Scene, record};
use etude_rl::{Policy, RlError, VectorEnv, load_policy};

use crate::report::Picture;

/// Pictures of a film, and columns that they stand in.
const PICTURES: usize = 8;
const COLUMNS: usize = 4;
/// The width of a picture and the gap after it, in the drawing's units.
const WIDTH: f64 = 180.0;
const GAP: f64 = 10.0;
/// Scenes that are looked at to choose from.
const MOST: usize = 1000;
/// The seed of the episode that is shown.
const SEED: u64 = 2_000_000_000;

/// An episode of the policy saved in `folder`; none where its environment has no pictures.
pub(super) fn of_saved(folder: &Path) -> Option<Picture> {
    let (card, mut policy) = load_policy(folder).ok()?;
    let mut env = card.wrapping.make_drawn(&card.environment).ok()?;
    film(&mut *env, &mut *policy).ok()
}

/// An episode of `policy` in `env`.
///
/// # Errors
/// The environment has no pictures.
pub(super) fn film(env: &mut dyn VectorEnv, policy: &mut dyn Policy) -> Result<Picture, RlError> {
    let recording = record(env, SEED, 1, MOST, policy)?;
    let count = recording.scenes.len();
    let shown = PICTURES.min(count);
    let chosen: Vec<(usize, &Scene)> = (0..shown)
        .map(|index| index * (count - 1) / (shown - 1).max(1))
        .map(|step| (step, &recording.scenes[step]))
        .collect();
    Ok(Picture::svg(
        format!("One episode in {shown} pictures; the number of steps stands below each"),
        strip(&chosen),
    ))
}

/// The pictures side by side, with their steps.
fn strip(scenes: &[(usize, &Scene)]) -> String {
    let height = scenes
        .first()
        .map_or(0.0, |(_, scene)| WIDTH * f64::from(scene.height_for(1000)) / 1000.0);
    let row = height + 24.0;
    let rows = scenes.len().div_ceil(COLUMNS) as f64;
    let width = (WIDTH + GAP) * COLUMNS as f64 - GAP;
    // Writing to a `String` cannot fail.
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {}\" xmlns=\"http://www.w3.org/2000/svg\">",
        rows * row
    );
    for (index, (step, scene)) in scenes.iter().enumerate() {
        let (x, y) = ((WIDTH + GAP) * (index % COLUMNS) as f64, row * (index / COLUMNS) as f64);
        let place = format!("<svg x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{height:.1}\" ");
        svg += &scene.svg().replacen("<svg ", &place, 1);
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"middle\">{step}</text>",
            x + WIDTH / 2.0,
            y + height + 16.0
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use etude_rl::make_drawn;

    use super::*;

    #[test]
    fn an_episode_is_shown_from_its_beginning_to_its_end() {
        struct Left;
        impl Policy for Left {
            fn act(&mut self, _: &[f32], actions: &mut [f32]) {
                actions.fill(0.0);
            }
        }
        let page =
            maud::Render::render(&film(&mut *make_drawn("CartPole-v1").unwrap(), &mut Left).unwrap()).into_string();
        assert_eq!(page.matches("<svg").count(), PICTURES + 1);
        assert!(page.contains(">0</text>"));
    }
}
