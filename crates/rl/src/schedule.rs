//! Settings that change in the course of a run.

use serde::{Deserialize, Serialize};

/// A number that depends on how much of a run is done, such as a learning rate or the chance of exploring.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// The same all along.
    Constant(f64),
    /// `from + (to - from) x`, where x goes from 0 to 1 over the first part of the run.
    Linear {
        /// At the beginning.
        from: f64,
        /// At the end, and from the end of that part on.
        to: f64,
        /// That part of the run, from 0 to 1.
        over: f64,
    },
    /// `from (to / from)^x`, with x as before.
    Exponential {
        /// At the beginning, above 0.
        from: f64,
        /// At the end, and from the end of that part on. Above 0.
        to: f64,
        /// That part of the run, from 0 to 1.
        over: f64,
    },
}

impl Schedule {
    /// The number when `step` steps of `total` are done.
    pub fn at(&self, step: u64, total: u64) -> f64 {
        // A part of no steps is over at once: 0 / 0 is no number, and the least of it and 1 is 1.
        let progress = |over: f64| (step as f64 / (over * total as f64)).min(1.0);
        match *self {
            Self::Constant(value) => value,
            Self::Linear { from, to, over } => {
                let x = progress(over);
                (1.0 - x) * from + x * to
            }
            Self::Exponential { from, to, over } => {
                let x = progress(over);
                from.powf(1.0 - x) * to.powf(x)
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "at its two ends a schedule is what was asked for")]
mod tests {
    use super::*;

    #[test]
    fn linear_over_a_part_of_the_run() {
        // Exploration as in Stable-Baselines3's DQN: to 0.05 over the first tenth.
        let schedule = Schedule::Linear {
            from: 1.0,
            to: 0.05,
            over: 0.1,
        };
        for (step, expected) in [
            (0, 1.0),
            (25, 0.7625),
            (50, 0.525),
            (100, 0.05),
            (101, 0.05),
            (1000, 0.05),
        ] {
            let ours = schedule.at(step, 1000);
            assert!((ours - expected).abs() < 1e-15, "{step}: {ours}");
        }
        assert_eq!(schedule.at(100, 1000), 0.05);
    }

    #[test]
    fn linear_to_nothing_over_the_whole_run() {
        let schedule = Schedule::Linear {
            from: 7e-4,
            to: 0.0,
            over: 1.0,
        };
        assert_eq!(schedule.at(0, 80), 7e-4);
        assert!((schedule.at(60, 80) - 1.75e-4).abs() < 1e-18);
        assert_eq!(schedule.at(80, 80), 0.0);
    }

    #[test]
    fn exponential_by_equal_factors() {
        let schedule = Schedule::Exponential {
            from: 1.0,
            to: 1e-4,
            over: 0.5,
        };
        for (step, expected) in [(0, 1.0), (125, 1e-1), (250, 1e-2), (500, 1e-4), (900, 1e-4)] {
            let ours = schedule.at(step, 1000);
            assert!((ours / expected - 1.0).abs() < 1e-14, "{step}: {ours}");
        }
    }

    #[test]
    fn no_steps_are_over_at_once() {
        let (from, to) = (1.0, 0.5);
        for schedule in [
            Schedule::Linear { from, to, over: 0.0 },
            Schedule::Exponential { from, to, over: 0.0 },
        ] {
            assert_eq!(schedule.at(0, 100), to);
            assert_eq!(schedule.at(5, 100), to);
        }
        assert_eq!(Schedule::Linear { from, to, over: 1.0 }.at(0, 0), to);
        assert_eq!(Schedule::Constant(3.0).at(5, 0), 3.0);
    }

    #[test]
    fn as_written_in_recipes() {
        let read = |text: &str| serde_json::from_str::<Schedule>(text);
        assert_eq!(read(r#"{"constant": 0.1}"#).unwrap(), Schedule::Constant(0.1));
        let linear = Schedule::Linear {
            from: 1.0,
            to: 0.1,
            over: 0.5,
        };
        assert_eq!(
            read(r#"{"linear": {"from": 1.0, "to": 0.1, "over": 0.5}}"#).unwrap(),
            linear
        );
        assert_eq!(read(&serde_json::to_string(&linear).unwrap()).unwrap(), linear);
        assert!(read(r#"{"linear": {"from": 1.0, "to": 0.1, "over": 0.5, "steps": 3}}"#).is_err());
    }
}
