//! An episode for a page: a few pictures of it side by side, and one that moves.

use std::fmt::Write as _;
use std::path::Path;

use etude_rl::render::{Scene, record};
use etude_rl::{Policy, RlError, VectorEnv, load_policy, registered};

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

/// The moving picture: its width, how long it may last, and steps a second where nothing else is known.
const MOVING_WIDTH: u16 = 240;
const SECONDS: usize = 10;
const STEPS_A_SECOND: u32 = 30;

/// An episode of the policy saved in `folder`; none where its environment has no pictures.
pub(super) fn of_saved(folder: &Path) -> Option<[Picture; 2]> {
    let (card, mut policy) = load_policy(folder).ok()?;
    let mut env = card.wrapping.make_drawn(&card.environment).ok()?;
    film(&mut *env, &card.environment, &mut *policy).ok()
}

/// An episode of `policy` in `env`, which is called `id`: side by side, and moving.
///
/// # Errors
/// The environment has no pictures.
pub(super) fn film(env: &mut dyn VectorEnv, id: &str, policy: &mut dyn Policy) -> Result<[Picture; 2], RlError> {
    let mut recording = record(env, SEED, 1, MOST, policy)?;
    let count = recording.scenes.len();
    let shown = PICTURES.min(count);
    let chosen: Vec<(usize, &Scene)> = (0..shown)
        .map(|index| index * (count - 1) / (shown - 1).max(1))
        .map(|step| (step, &recording.scenes[step]))
        .collect();
    let still = Picture::svg(
        format!("One episode in {shown} pictures; the number of steps stands below each"),
        strip(&chosen),
    );
    let rate = registered(id).map_or(STEPS_A_SECOND, |known| known.frames_per_second);
    recording.scenes.truncate(SECONDS * rate as usize);
    let seconds = recording.scenes.len() as f64 / f64::from(rate);
    let gif = recording.gif(Vec::new(), MOVING_WIDTH, rate)?;
    let caption = format!("The first {seconds:.0} seconds of it");
    Ok([still, Picture::gif(caption, &gif, MOVING_WIDTH)])
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
        let mut env = make_drawn("CartPole-v1").unwrap();
        let pictures = film(&mut *env, "CartPole-v1", &mut Left).unwrap();
        let [still, moving] = pictures.map(|picture| maud::Render::render(&picture).into_string());
        assert_eq!(still.matches("<svg").count(), PICTURES + 1);
        assert!(still.contains(">0</text>"));
        // `R0lGODlh` is `GIF89a` in base 64.
        assert!(moving.contains("src=\"data:image/gif;base64,R0lGODlh"));
    }
}
