//! Losses on pairs, gradients and metrics, against TRL's trainers and the papers' formulas.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use etude_align::preference::kto::{Weights, kto, reference_point};
use etude_align::preference::{
    Aggregation, Cpo, CpoLoss, CpoOptions, Orpo, OrpoOptions, Pairs, PreferenceBatch, PreferenceLoss,
    PreferenceOptions, RewardMetrics, preference_loss, sequence_log_probabilities, wpo_weights,
};
use serde::Deserialize;

use crate::common::{LOSSES, assert_close, assert_near, device, numbers, tensor, with_gradient};

#[derive(Deserialize)]
struct Fixture {
    batches: Vec<Batch>,
}

#[derive(Deserialize)]
struct Batch {
    lengths: Vec<usize>,
    policy: Vec<f32>,
    reference: Vec<f32>,
    log_sum_squares: Vec<f32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    options: PreferenceOptions,
    loss: f64,
    gradient: Vec<f32>,
    metrics: BTreeMap<String, f64>,
}

#[test]
fn losses_gradients_and_metrics_are_those_of_trl_and_of_the_papers() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/preference.json")).unwrap();
    let mut seen = Vec::new();
    for Batch {
        lengths,
        policy,
        reference,
        log_sum_squares,
        cases,
    } in &fixture.batches
    {
        for case in cases {
            let options = case.options.clone().checked().unwrap();
            let what = format!("{options:?}");
            let aggregation = options.aggregation();
            let reference = sequence_log_probabilities(tensor(reference), lengths, aggregation);
            let mut metrics = None;
            let (loss, gradient) = with_gradient(policy, |policy| {
                let mut batch = PreferenceBatch::new(policy.clone(), reference, lengths, aggregation);
                if options.use_weighting {
                    batch.weights = Some(wpo_weights(policy, tensor(log_sum_squares), lengths));
                }
                metrics = Some(RewardMetrics::new(&batch.policy, &batch.reference, options.beta));
                preference_loss(&batch, &options).mean()
            });
            assert_near(f64::from(loss[0]), case.loss, &what);
            assert_close(&gradient, &case.gradient, &what);
            for (name, found) in metrics.unwrap().named() {
                assert_near(found, case.metrics[name], &format!("{name} of {what}"));
            }
            seen.extend(options.loss_type);
        }
    }
    assert!(
        LOSSES.iter().all(|loss| seen.contains(loss)),
        "every loss is in the fixture"
    );
}

#[derive(Deserialize)]
struct ReferenceFree {
    lengths: Vec<usize>,
    policy: Vec<f32>,
    cases: Vec<ReferenceFreeCase>,
}

#[derive(Deserialize)]
struct ReferenceFreeCase {
    name: String,
    settings: BTreeMap<String, f64>,
    loss: f64,
    gradient: Vec<f32>,
}

#[test]
fn losses_without_a_reference_are_those_of_trl() {
    let fixture: ReferenceFree = serde_json::from_str(include_str!("../fixtures/reference_free.json")).unwrap();
    let lengths = &fixture.lengths;
    let pairs = lengths.len() / 2;
    let chosen: usize = lengths[..pairs].iter().sum();
    for case in fixture.cases {
        let set = |name: &str| case.settings[name];
        let (loss, gradient) = with_gradient(&fixture.policy, |tokens| {
            let answers = |aggregation| Pairs::split(sequence_log_probabilities(tokens.clone(), lengths, aggregation));
            let likelihood = -tokens.clone().narrow(0, 0, chosen).mean();
            let cpo = |options: CpoOptions| {
                let cpo = Cpo::new(options).unwrap();
                cpo.losses(answers(cpo.aggregation()), likelihood.clone())
            };
            let losses = match case.name.as_str() {
                "simpo" => cpo(CpoOptions {
                    loss_type: CpoLoss::Simpo,
                    beta: set("beta"),
                    simpo_gamma: set("gamma"),
                    cpo_alpha: 0.0,
                    ..CpoOptions::default()
                }),
                "cpo" => cpo(CpoOptions {
                    beta: set("beta"),
                    label_smoothing: set("label_smoothing"),
                    cpo_alpha: set("alpha"),
                    ..CpoOptions::default()
                }),
                "orpo" => {
                    let orpo = Orpo::new(OrpoOptions { beta: set("beta") }).unwrap();
                    orpo.losses(answers(Aggregation::Average), likelihood.clone())
                }
                other => panic!("{other}"),
            };
            losses.mean()
        });
        assert_near(f64::from(loss[0]), case.loss, &case.name);
        assert_close(&gradient, &case.gradient, &case.name);
    }
}

#[derive(Deserialize)]
struct Kto {
    cases: Vec<KtoCase>,
}

#[derive(Deserialize)]
struct KtoCase {
    loss_type: String,
    beta: f64,
    weights: [f64; 2],
    labels: Vec<bool>,
    log_ratios: Vec<f32>,
    mismatched: Vec<f32>,
    kl: f64,
    loss: f64,
    gradient: Vec<f32>,
}

#[test]
fn kto_is_that_of_trl() {
    let fixture: Kto = serde_json::from_str(include_str!("../fixtures/kto.json")).unwrap();
    for case in fixture.cases {
        let point = match case.loss_type.as_str() {
            "kto" => reference_point(tensor(&case.mismatched)),
            _ => tensor(&[0.0]),
        };
        assert_near(f64::from(numbers(point.clone())[0]), case.kl, "the reference point");
        let labels = Tensor::from_data(TensorData::new(case.labels.clone(), [case.labels.len()]), &device());
        let [desirable, undesirable] = case.weights;
        let weights = Weights { desirable, undesirable };
        let (loss, gradient) = with_gradient(&case.log_ratios, |ratios| {
            kto(ratios, labels, point, case.beta, weights).mean()
        });
        assert_near(f64::from(loss[0]), case.loss, &case.loss_type);
        assert_close(&gradient, &case.gradient, &case.loss_type);
    }
}

#[test]
fn names_are_those_of_trl() {
    let options: PreferenceOptions = serde_json::from_str(
        r#"{"loss_type": ["sigmoid", "bco_pair", "sft"], "loss_weights": [0.8, 0.2, 1.0], "f_divergence_type": "reverse_kl"}"#,
    )
    .unwrap();
    let expected = [PreferenceLoss::Sigmoid, PreferenceLoss::BcoPair, PreferenceLoss::Sft];
    assert_eq!(options.checked().unwrap().loss_type, expected);
    let one: PreferenceOptions = serde_json::from_str(r#"{"loss_type": "sppo_hard"}"#).unwrap();
    assert_eq!(one.loss_type, [PreferenceLoss::SppoHard]);
}

#[test]
fn what_does_not_go_together_is_said() {
    for (options, expected) in [
        (
            r#"{"loss_type": []}"#,
            "loss_type: found \"none\", expected at least one loss",
        ),
        (r#"{"beta": 0}"#, "beta: found 0.0, expected a number above 0"),
        (
            r#"{"label_smoothing": 0.5}"#,
            "label_smoothing: found 0.5, expected from 0 to below 0.5",
        ),
        (
            r#"{"loss_type": "exo_pair"}"#,
            "label_smoothing: found 0.0, expected above 0 for exo_pair, usually 0.001",
        ),
        (
            r#"{"loss_type": "sigmoid", "loss_weights": [1, 2]}"#,
            "loss_weights: found [1.0, 2.0], expected as many finite numbers as there are losses, 1",
        ),
        (
            r#"{"loss_type": ["sft", "nca_pair"], "f_divergence_type": "js_divergence"}"#,
            "f_divergence_type: found JsDivergence, expected reverse_kl, since NcaPair is no function of a difference of scores",
        ),
        (r#"{"ld_alpha": 1.5}"#, "ld_alpha: found 1.5, expected from 0 to 1"),
        (
            r#"{"ld_alpha": 0.5, "average_log_prob": true}"#,
            "ld_alpha: found 0.5, expected none where average_log_prob is set",
        ),
        (
            r#"{"loss_type": "aot", "use_weighting": true}"#,
            "use_weighting: found true, expected false for aot and aot_unpaired",
        ),
    ] {
        let options: PreferenceOptions = serde_json::from_str(options).unwrap();
        assert_eq!(options.checked().unwrap_err().to_string(), expected);
    }
}
