//! `etude rl play`: a saved policy at work, in the terminal or as a GIF.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use etude_rl::render::{Recording, record};
use serde::Serialize;

use super::eval::{fits, load};
use super::failed;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::terminal;

/// What `etude rl play` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A run's folder, whose best policy plays, or the folder of a policy
    #[arg(value_name = "RUN|POLICY")]
    policy: PathBuf,
    /// How many episodes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    episodes: u16,
    /// The seed of the first episode
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Write a GIF instead of drawing in the terminal
    #[arg(long, value_name = "FILE")]
    gif: Option<PathBuf>,
    /// The GIF's width, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 480, value_parser = clap::value_parser!(u16).range(16..=4096))]
    width: u16,
    /// Pictures a second
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=50))]
    fps: u32,
    /// Stop after so many pictures
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pictures: u32,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Json<'a> {
    environment: &'a str,
    /// Of the episodes that ended.
    returns: &'a [f64],
    lengths: &'a [usize],
    pictures: usize,
    gif: Option<String>,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let (card, mut policy) = load(&arguments.policy)?;
    let id = &card.environment;
    let mut env = card.wrapping.make_drawn(id).map_err(|error| failed(&error, id))?;
    fits(&card, &*env, id)?;
    let (episodes, most) = (arguments.episodes.into(), arguments.pictures as usize);
    let recording =
        record(&mut *env, arguments.seed, episodes, most, &mut *policy).map_err(|error| failed(&error, id))?;
    match &arguments.gif {
        Some(path) => {
            let file = File::create(path).bad_input(|| format!("cannot write {}", path.display()))?;
            recording
                .gif(BufWriter::new(file), arguments.width, arguments.fps)
                .failed_run(|| format!("cannot write {}", path.display()))?;
            output.note(&format!("{}: {} pictures", path.display(), recording.scenes.len()));
        }
        None if !output.is_json() => show(&recording, arguments.fps, output)?,
        None => {}
    }
    for (index, (reward, length)) in recording.returns.iter().zip(&recording.lengths).enumerate() {
        output.line(&format!("episode {}: return {reward}, {length} steps", index + 1));
    }
    output.result_json(&Json {
        environment: id,
        returns: &recording.returns,
        lengths: &recording.lengths,
        pictures: recording.scenes.len(),
        gif: arguments.gif.as_ref().map(|path| path.display().to_string()),
    });
    Ok(())
}

/// Draws one picture over the other in a terminal; where the output goes elsewhere, the first and the last alone.
fn show(recording: &Recording, fps: u32, output: &Output) -> Result<(), CommandError> {
    let style = output.style();
    if !output.colour() {
        for scene in recording.scenes.first().iter().chain(&recording.scenes.last()) {
            output.line(terminal::picture(scene, style).trim_end());
        }
        return Ok(());
    }
    interrupt::install()?;
    for (index, scene) in recording.scenes.iter().enumerate() {
        let text = terminal::picture(scene, style);
        if index > 0 {
            // Back to the picture's first line.
            output.raw(format!("\x1b[{}A", text.lines().count()).as_bytes());
        }
        output.raw(text.as_bytes());
        if interrupt::interrupted() {
            break;
        }
        std::thread::sleep(Duration::from_secs_f64(1.0 / f64::from(fps)));
    }
    Ok(())
}
