//! Policies judged: their reward and their KL divergence from the reference, on prompts that no stage has seen.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use etude_align::AlignError;
use etude_align::data::{DataFiles, DataOptions};
use etude_align::frontier::{Judged, Point, judge};
use etude_align::ppo::{Drawing, Question, Rollout};
use etude_align::reward::{Answer, RewardFunction, RewardModel, total_rewards};
use etude_align::training::checkpoint;
use etude_lm::Source;
use etude_lm::decoder::Decoder;
use etude_train::{Seed, write_atomically};
use serde::{Deserialize, Serialize};

use super::super::train::question;
use super::recipe::FrontierRecipe;
use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;

/// What was found of a run, in its folder.
const POINTS: &str = "points.json";

/// The place of a policy.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct JudgedPoint {
    /// The step of its run.
    pub(super) step: u64,
    pub(super) point: Point,
    /// The standard error of the mean reward.
    pub(super) reward_error: f64,
    /// Tokens of a mean answer.
    pub(super) length: f64,
}

/// An answer to look at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Shown {
    pub(super) prompt: String,
    pub(super) answer: String,
    pub(super) reward: f32,
}

/// All checkpoints of a run, and answers of the last one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct JudgedRun {
    pub(super) points: Vec<JudgedPoint>,
    pub(super) shown: Vec<Shown>,
}

impl JudgedRun {
    pub(super) fn end(&self) -> Option<&JudgedPoint> {
        self.points.last()
    }
}

/// Who judges: the reference, the reward model, and the prompts.
pub(super) struct Judge<'a> {
    recipe: &'a FrontierRecipe,
    /// Where the reference comes from.
    source: Source,
    reference: Decoder,
    rewards: Vec<Box<dyn RewardFunction>>,
    questions: Vec<Question>,
    output: &'a Output,
}

impl<'a> Judge<'a> {
    /// Of the folders of the reference and the reward model, and of a file of prompts.
    pub(super) fn new(
        recipe: &'a FrontierRecipe,
        [reference, reward]: [&Path; 2],
        prompts: &Path,
        output: &'a Output,
    ) -> Result<Self, CommandError> {
        let (source, decoder) = open(recipe, reference)?;
        let failed = || format!("cannot load the reward model {}", reward.display());
        let of_reward = Source::open(&reward.to_string_lossy()).bad_input(failed)?;
        let pad = of_reward.config.pad_token.or(of_reward.tokenizer.special_ids().eos);
        let model = RewardModel::load(
            of_reward.config.clone(),
            &*of_reward.checkpoint,
            recipe.model.precision.into(),
            pad,
            Seed(recipe.seed),
            &Device::flex(),
        );
        Ok(Self {
            recipe,
            questions: questions(recipe, prompts, &source)?,
            source,
            reference: decoder,
            rewards: vec![Box::new(model.bad_input(failed)?)],
            output,
        })
    }

    /// How many the models have.
    pub(super) fn parameters(&self) -> u64 {
        let shapes = etude_lm::decoder::parameters(&self.source.config);
        shapes
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>() as u64)
            .sum()
    }

    /// The reference itself, which is at 0.
    pub(super) fn reference(&mut self, run: &Path) -> Result<JudgedRun, CommandError> {
        kept(run, || {
            let (point, shown) = self.judge(0, &self.reference.clone())?;
            Ok(JudgedRun {
                points: vec![point],
                shown,
            })
        })
    }

    /// Every checkpoint of a run; all but the last are removed then.
    pub(super) fn run(&mut self, run: &Path) -> Result<JudgedRun, CommandError> {
        let checkpoints = checkpoint::all(run).failed_run(|| "cannot judge a run".into())?;
        let judged = kept(run, || {
            let bar = Progress::bar(self.output, "evaluation", checkpoints.len() as u64);
            let mut found = JudgedRun::default();
            for (step, path) in &checkpoints {
                let (_, policy) = open(self.recipe, path)?;
                let (point, shown) = self.judge(*step, &policy)?;
                found.points.push(point);
                found.shown = shown;
                bar.set(found.points.len() as u64, "");
            }
            bar.finish();
            Ok(found)
        })?;
        let earlier = checkpoints.split_last().map_or(&[][..], |(_, earlier)| earlier);
        for (_, path) in earlier {
            fs::remove_dir_all(path).failed_run(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(judged)
    }

    fn judge(&mut self, step: u64, policy: &Decoder) -> Result<(JudgedPoint, Vec<Shown>), CommandError> {
        if interrupt::interrupted() {
            return Err(stopped());
        }
        let Self {
            recipe,
            source,
            reference,
            rewards,
            questions,
            ..
        } = self;
        let drawing = drawing(recipe, source);
        let judged = judge(policy, reference, drawing, rewards, questions, Seed(recipe.seed));
        let Judged {
            rollouts,
            rewards,
            divergences,
        } = judged.failed_run(|| "cannot judge a policy".into())?;
        let count = rollouts.len() as f64;
        let mean = |numbers: &[f32]| numbers.iter().map(|number| f64::from(*number)).sum::<f64>() / count;
        let reward = mean(&rewards);
        let squares = rewards.iter().map(|found| (f64::from(*found) - reward).powi(2));
        let tokens: usize = rollouts.iter().map(|rollout| rollout.sequence.supervised()).sum();
        let point = JudgedPoint {
            step,
            point: Point {
                kl: mean(&divergences),
                reward,
            },
            reward_error: (squares.sum::<f64>() / (count - 1.0) / count).sqrt(),
            length: tokens as f64 / count,
        };
        let shown = rollouts.iter().zip(&rewards).map(|(rollout, reward)| Shown {
            prompt: rollout.question.text.clone(),
            answer: rollout.text.clone(),
            reward: *reward,
        });
        Ok((point, shown.take(recipe.evaluation.shown.get()).collect()))
    }

    /// Answers of the reference to the prompts of a file, several to each, with their rewards: `together` hears of those to one prompt.
    pub(super) fn answers(
        &mut self,
        prompts: &Path,
        mut together: impl FnMut(&str, &[(String, f32)]),
    ) -> Result<(), CommandError> {
        /// Prompts at a time.
        const CHUNK: usize = 128;
        let failed = || "cannot draw answers".to_owned();
        let questions = questions(self.recipe, prompts, &self.source)?;
        let answers = self.recipe.preferences.answers.get();
        let bar = Progress::bar(self.output, "answers", questions.len() as u64);
        for (index, chunk) in questions.chunks(CHUNK).enumerate() {
            if interrupt::interrupted() {
                return Err(stopped());
            }
            let asked: Vec<&Question> = chunk
                .iter()
                .flat_map(|asked| std::iter::repeat_n(asked, answers))
                .collect();
            let (seed, first) = (Seed(self.recipe.seed), index * CHUNK * answers);
            let rollouts = drawing(self.recipe, &self.source)
                .draw(&self.reference, &asked, seed, "preferences", first as u64)
                .failed_run(failed)?;
            let scored: Vec<Answer<'_>> = rollouts.iter().map(Rollout::answer).collect();
            let rewards = total_rewards(&mut self.rewards, &scored).failed_run(failed)?;
            let scored: Vec<(String, f32)> = rollouts
                .into_iter()
                .map(|rollout| rollout.text)
                .zip(rewards.total)
                .collect();
            for (question, answers) in chunk.iter().zip(scored.chunks(answers)) {
                together(&question.text, answers);
            }
            bar.set((index * CHUNK + chunk.len()) as u64, "");
        }
        bar.finish();
        Ok(())
    }
}

/// How all answers are drawn.
fn drawing<'s>(recipe: &FrontierRecipe, source: &'s Source) -> Drawing<'s> {
    Drawing {
        tokenizer: &source.tokenizer,
        stop_tokens: &source.stop_tokens,
        length: recipe.ppo.options.response_length,
        temperature: recipe.ppo.options.temperature,
    }
}

/// A model that is trained no more.
fn open(recipe: &FrontierRecipe, folder: &Path) -> Result<(Source, Decoder), CommandError> {
    let failed = || format!("cannot load {}", folder.display());
    let source = Source::open(&folder.to_string_lossy()).bad_input(failed)?;
    let decoder = Decoder::load(source.config.clone(), &*source.checkpoint, &Device::flex()).bad_input(failed)?;
    Ok((source, decoder.with_precision(recipe.model.precision.into())))
}

/// The prompts of a file to which the model has room for an answer, as PPO takes them.
fn questions(recipe: &FrontierRecipe, prompts: &Path, source: &Source) -> Result<Vec<Question>, CommandError> {
    let failed = || format!("cannot read {}", prompts.display());
    let files = DataFiles::find(&[prompts.to_owned()]).bad_input(failed)?;
    let records = files.records(&DataOptions::default());
    let questions: Result<Vec<Question>, AlignError> = records.map(|record| question(record?, source)).collect();
    let mut questions = questions.bad_input(failed)?;
    let most = source.config.context.saturating_sub(recipe.ppo.options.response_length);
    questions.retain(|question| question.tokens.len() <= most);
    if questions.len() < 2 {
        return Err(CommandError::bad_input(failed()).because("fewer than two prompts leave room for an answer"));
    }
    Ok(questions)
}

/// What is in the folder of a run already, or what `find` finds, which is there from then on.
fn kept(run: &Path, find: impl FnOnce() -> Result<JudgedRun, CommandError>) -> Result<JudgedRun, CommandError> {
    let path = run.join(POINTS);
    let damaged = || format!("cannot read {}", path.display());
    if path.exists() {
        return serde_json::from_slice(&fs::read(&path).bad_input(damaged)?).bad_input(damaged);
    }
    let found = find()?;
    let written = || format!("cannot write {}", path.display());
    let text = serde_json::to_vec(&found).failed_run(written)?;
    write_atomically(&path, &text).failed_run(written)?;
    Ok(found)
}

fn stopped() -> CommandError {
    CommandError::failed_run("stopped on request")
        .hint("the same command with `--resume` and this folder as `--out` goes on from here")
}
