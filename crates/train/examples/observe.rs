//! Writes a small run folder with every kind of observation in it:
//! `cargo run -p etude-train --example observe -- FOLDER`.
//!
//! `scripts/check_tensorboard.py` reads the folder back, and knows what is written here.

use std::{env, error::Error};

use etude_train::{Observer, Observers, Picture, RunFolder};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("name the folder to write")?;
    let folder = RunFolder::create(path)?;
    folder.write_config("# an example\n")?;
    let mut observers = Observers::new(vec![Box::new(folder.jsonl()?), Box::new(folder.tensorboard()?)]);

    for step in 0..1000 {
        observers.scalar("loss/train", step, 1.0 / (step as f64 + 3.0));
    }
    observers.scalar("loss/diverged", 0, f64::NAN);
    observers.scalar("loss/diverged", 1, f64::INFINITY);
    observers.scalar("loss/diverged", 2, f64::NEG_INFINITY);

    for step in 0..10_u32 {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i * i + step)).collect();
        observers.histogram("weights", u64::from(step), &values);
    }
    observers.histogram("constant", 0, &[2.5; 4]);

    let dot = Picture::Png {
        width: 2,
        height: 1,
        bytes: include_bytes!("dot.png").to_vec(),
    };
    observers.picture("dot", 5, &dot);
    observers.picture("left out", 5, &Picture::Svg("<svg/>".to_owned()));

    observers.text("sample", 6, "*Étude* in E major\nop. 10, no. 3");
    observers.finish()?;
    Ok(())
}
