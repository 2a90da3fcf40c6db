//! Model files of every format: the fixtures, and random models written and read back.

use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use etude_mdp::{Mdp, MdpBuilder, Model, Next, TERMINAL, read};
use proptest::prelude::*;

fn fixtures(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| {
        let name = file.to_string_lossy();
        name.ends_with(extension) && !name.ends_with("solution.json")
    });
    files.sort();
    files
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// r(s, a) followed by p(. | s, a) over all states and the end, by state and action.
fn dense(mdp: &Mdp) -> Vec<Vec<Vec<f64>>> {
    let row = |state, action| {
        let mut row = vec![0.0; mdp.states() + 2];
        row[0] = mdp.reward(state, action);
        mdp.successors(state, action, |next, probability| {
            let column = if next == TERMINAL { mdp.states() } else { next as usize };
            row[1 + column] += probability;
        });
        row
    };
    (0..mdp.states())
        .map(|state| (0..mdp.actions(state)).map(|action| row(state, action)).collect())
        .collect()
}

#[test]
fn every_json_fixture_reads() {
    let mut read_so_far = 0;
    for file in ["gymnasium", "published", "npz"]
        .iter()
        .flat_map(|folder| fixtures(folder, ".json"))
    {
        let mdp = read::model(&file, None).unwrap();
        for row in dense(&mdp).iter().flatten() {
            let sum: f64 = row[1..].iter().sum();
            assert!((sum - 1.0).abs() < 1e-14, "{}: {sum}", file.display());
        }
        read_so_far += 1;
    }
    assert_eq!(read_so_far, 8 + 9 + 1);
}

#[test]
fn frozen_lake_is_what_gymnasium_says() {
    let mdp = read::model(&fixture("gymnasium/frozen-lake-4x4-slippery.json"), None).unwrap();
    assert_eq!((mdp.states(), mdp.rows()), (16, 64));
    assert!(mdp.has_terminal());
    // Left of the goal, each action but left slips into it one time in three.
    for (action, expected) in [0.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0].into_iter().enumerate() {
        assert!((mdp.reward(14, action) - expected).abs() < 1e-15);
    }
}

#[test]
fn npz_variants_mean_the_same_model() {
    let expected = dense(&read::model(&fixture("npz/model.json"), None).unwrap());
    let of = |prefix: &str| {
        let mut files = fixtures("npz", ".npz");
        files.retain(|file| file.file_name().unwrap().to_string_lossy().starts_with(prefix));
        files
    };
    let (transitions, rewards) = (of("transitions"), of("rewards"));
    assert_eq!((transitions.len(), rewards.len()), (7, 7));
    for transition in &transitions {
        for reward in &rewards {
            let model = read::model(transition, Some(reward));
            if transition.ends_with("transitions-coo.npz") {
                let error = model.unwrap_err().to_string();
                assert!(
                    error.contains("transitions-coo.npz: a matrix in coo form; expected csr"),
                    "{error}"
                );
            } else {
                assert_eq!(
                    dense(&model.unwrap()),
                    expected,
                    "{}, {}",
                    transition.display(),
                    reward.display()
                );
            }
        }
    }
}

/// State, action, successor (none: the episode ends), probability and reward.
type Line = (usize, u32, Option<usize>, f64, f64);

/// Models of up to six states with up to three actions each.
fn models() -> impl Strategy<Value = (usize, Vec<Line>)> {
    (1_usize..7).prop_flat_map(|states| {
        let successor = (prop::option::weighted(0.9, 0..states), 1_u32..9, -1e3..1e3);
        let action = prop::collection::vec(successor, 1..4);
        let actions = prop::collection::btree_map(0_u32..5, action, 1..4);
        prop::collection::vec(actions, states).prop_map(move |model| {
            let mut lines = Vec::new();
            for (state, actions) in model.iter().enumerate() {
                for (&action, successors) in actions {
                    let total: u32 = successors.iter().map(|&(_, weight, _)| weight).sum();
                    lines.extend(successors.iter().map(|&(next, weight, reward)| {
                        (state, action, next, f64::from(weight) / f64::from(total), reward)
                    }));
                }
            }
            (states, lines)
        })
    })
}

fn to_json(lines: &[Line]) -> String {
    let of_state = lines.chunk_by(|a, b| a.0 == b.0).map(|lines| {
        let of_action = lines.chunk_by(|a, b| a.1 == b.1).map(|lines| {
            let transitions = lines.iter().map(|(_, _, next, probability, reward)| {
                format!("[{probability}, {}, {reward:e}, {}]", next.unwrap_or(0), next.is_none())
            });
            format!("\"{}\": [{}]", lines[0].1, transitions.collect::<Vec<_>>().join(", "))
        });
        format!("\"{}\": {{{}}}", lines[0].0, of_action.collect::<Vec<_>>().join(",\n"))
    });
    format!("{{{}}}", of_state.collect::<Vec<_>>().join(",\n"))
}

fn to_csv(lines: &[Line]) -> String {
    let mut text = "state,action,next,probability,reward,terminated\n".to_owned();
    for (state, action, next, probability, reward) in lines {
        let (to, terminated) = (next.unwrap_or(999), next.is_none());
        writeln!(text, "{state},{action},{to},{probability:e},{reward},{terminated}").unwrap();
    }
    text
}

/// What [`dense`] should give, added up line by line.
fn added_up(states: usize, lines: &[Line]) -> Vec<Vec<Vec<f64>>> {
    let of_action = |lines: &[Line]| {
        let mut row = vec![0.0; states + 2];
        for &(_, _, next, probability, reward) in lines {
            row[0] += probability * reward;
            row[1 + next.unwrap_or(states)] += probability;
        }
        row
    };
    let of_state = |lines: &[Line]| lines.chunk_by(|a, b| a.1 == b.1).map(of_action).collect();
    lines.chunk_by(|a, b| a.0 == b.0).map(of_state).collect()
}

proptest! {
    #[test]
    fn lines_in_any_order_make_the_model((states, lines) in models(), seed: u64) {
        let expected = added_up(states, &lines);
        let mut shuffled = lines;
        shuffled.sort_by_cached_key(|line| {
            let mut hasher = DefaultHasher::new();
            (seed, line.0, line.1, line.2, line.3.to_bits(), line.4.to_bits()).hash(&mut hasher);
            hasher.finish()
        });
        let mut builder = MdpBuilder::new(states);
        for (state, action, next, probability, reward) in shuffled {
            builder.transition(state, action, next.map_or(Next::End, Next::State), probability, reward);
        }
        let found = dense(&builder.build().unwrap());
        for (found, expected) in found.iter().flatten().flatten().zip(expected.iter().flatten().flatten()) {
            prop_assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{} {}", found, expected);
        }
        prop_assert_eq!(found.concat().len(), expected.concat().len());
    }

    #[test]
    fn written_models_read_back((states, lines) in models()) {
        let mut builder = MdpBuilder::new(states);
        for &(state, action, next, probability, reward) in &lines {
            builder.transition(state, action, next.map_or(Next::End, Next::State), probability, reward);
        }
        let expected = builder.build().unwrap();
        let json = read::gymnasium::parse(Path::new("json"), to_json(&lines).as_bytes()).unwrap();
        prop_assert_eq!(&json, &expected);
        let csv = read::csv::parse(Path::new("csv"), to_csv(&lines).as_bytes()).unwrap();
        prop_assert_eq!(&csv, &expected);
    }

    #[test]
    fn damaged_text_never_panics((_, lines) in models(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for mut text in [to_json(&lines).into_bytes(), to_csv(&lines).into_bytes()] {
            let place = place.index(text.len());
            text[place] = byte;
            let _ = read::gymnasium::parse(Path::new("json"), &text);
            let _ = read::csv::parse(Path::new("csv"), &text[..place]);
            let _ = read::csv::parse(Path::new("csv"), &text);
        }
    }
}
