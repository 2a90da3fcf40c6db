//! `etude boxes` as its users see it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Pairs of boxes whose metrics are known.
const PREDICTED: &str = "x1,y1,x2,y2\n50,50,150,150\n0,0,10,10\n\n10,10,30,50\n0,0,10,8\n";
const TARGETS: &str = "[[60,40,180,120],[20,20,50,40],[0,0,100,100],[0,0,10,10]]";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn pairs() -> TempDir {
    folder(&[("p.csv", PREDICTED), ("g.json", TARGETS)])
}

fn etude(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_etude"))
        .arg("boxes")
        .args(arguments)
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(folder: &TempDir, arguments: &[&str]) -> Value {
    let output = etude(folder, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Everything that a user sees of one run.
fn transcript(folder: &TempDir, arguments: &[&str]) -> String {
    let output = etude(folder, arguments);
    let code = output.status.code().unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    format!(
        "$ etude boxes {}\n{stdout}{stderr}exit code {code}\n",
        arguments.join(" ")
    )
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|number| number.as_f64().unwrap()).collect()
}

fn assert_near(found: &Value, expected: &[f64], tolerance: f64) {
    let found = numbers(found);
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < tolerance, "{found:?}, expected {expected:?}");
    }
}

/// The table of published values, and what the papers' formulas make of the rest, by hand.
#[test]
fn every_metric_has_its_published_values() {
    let folder = pairs();
    let pair = ["p.csv", "g.json"];
    for (metric, expected) in [
        ("iou", [0.473_684, 0.0, 0.08, 0.8]),
        ("giou", [0.403_754, -0.65, 0.08, 0.8]),
        ("diou", [0.446_098, -0.371_951, 0.015, 0.795]),
        ("ciou", [0.445_638, -0.372_197, 0.013_17, 0.794_88]),
        ("eiou", [0.389_372, -0.594_451, -0.985, 0.755]),
        ("siou", [0.444_913, -0.357_07, -0.053_966, 0.789_559]),
        ("alpha-iou", [0.106_284, 0.0, 0.000_512, 0.512]),
        ("inner-iou", [0.368_503, 0.0, 0.08, 0.741_935]),
        ("shape-iou", [0.445_28, -0.411_964, -0.051_697, 0.794_46]),
        // The loss is exp(d^2 / c^2) (1 - IoU).
        (
            "wiou-v1",
            [0.541_037, 1.450_562, 0.981_786, 0.201_003].map(|loss| 1.0 - loss),
        ),
        // The loss is IoU^0.5 (1 - EIoU).
        (
            "focal-eiou",
            [(0.473_684, 0.389_372), (0.0, 0.0), (0.08, -0.985), (0.8, 0.755)]
                .map(|(iou, eiou): (f64, f64)| 1.0 - iou.sqrt() * (1.0 - eiou)),
        ),
        // IoU^3 minus the cube of what GIoU and DIoU take off.
        (
            "alpha-giou",
            [(0.473_684_f64, 0.403_754_f64), (0.0, -0.65), (0.08, 0.08), (0.8, 0.8)]
                .map(|(iou, giou)| iou.powi(3) - (iou - giou).powi(3)),
        ),
        (
            "alpha-diou",
            [
                (0.473_684_f64, 0.446_098_f64),
                (0.0, -0.371_951),
                (0.08, 0.015),
                (0.8, 0.795),
            ]
            .map(|(iou, diou)| iou.powi(3) - (iou - diou).powi(3)),
        ),
        ("alpha-ciou", [0.106_263, -0.051_458, 0.000_237, 0.511_999_9]),
        // Metric - IoU + Inner-IoU.
        ("inner-ciou", [0.340_457, -0.372_197, 0.013_17, 0.736_815]),
        ("inner-siou", [0.339_732, -0.357_07, -0.053_966, 0.731_494]),
    ] {
        let values = json(&folder, &[&["iou", "--metric", metric], &pair[..]].concat());
        assert_eq!(
            values.as_object().unwrap().len(),
            1,
            "no gradients unless they are asked for"
        );
        assert_near(&values["values"], &expected, 5e-6);
    }
    let mpdiou = json(
        &folder,
        &["iou", "--metric", "mpdiou", "--picture", "640x640", "p.csv", "g.json"],
    );
    assert_near(&mpdiou["values"], &[0.471_243, -0.004_028, 0.070_723, 0.799_995], 5e-7);
    let bounded = json(&folder, &["iou", "--metric", "bounded-iou", "p.csv", "g.json"]);
    // Centre 1 too high: bound 8 / 12; height 8 of 10; smooth L1 with beta 0.2.
    assert!((numbers(&bounded["values"])[3] - (1.0 - (1.0 / 3.0 - 0.1 + 0.1))).abs() < 1e-12);
}

#[test]
fn wise_iou_compares_a_pair_with_the_mean_of_all() {
    let folder = pairs();
    let losses = |metric: &str| {
        let found = json(&folder, &["iou", "--metric", metric, "p.csv", "g.json"]);
        numbers(&found["values"])
            .iter()
            .map(|value| 1.0 - value)
            .collect::<Vec<_>>()
    };
    let ious = [9.0 / 19.0, 0.0, 0.08, 0.8];
    let mean = 1.0 - ious.iter().sum::<f64>() / 4.0;
    let (first, second, third) = (losses("wiou-v1"), losses("wiou-v2"), losses("wiou-v3"));
    for (index, iou) in ious.into_iter().enumerate() {
        let outlier = (1.0 - iou) / mean;
        assert!((second[index] - outlier.sqrt() * first[index]).abs() < 1e-12);
        let focus = outlier / (3.0 * 1.9_f64.powf(outlier - 3.0));
        assert!((third[index] - focus * first[index]).abs() < 1e-12);
    }
}

#[test]
fn gradients_are_the_losss_by_the_first_box_in_its_format() {
    let folder = folder(&[
        ("p.json", "[[50,50,150,150]]"),
        ("g.json", "[[60,40,180,120]]"),
        ("p-centre.csv", "100,100,100,100\n"),
        ("g-centre.csv", "120,80,120,80\n"),
    ]);
    let of = |metric: &str, rest: &[&str]| json(&folder, &[&["iou", "--gradient", "--metric", metric], rest].concat());
    for (metric, expected) in [
        ("iou", [-0.003_561_5, 0.006_410_8, -0.004_194_7, 0.003_561_5]),
        ("giou", [-0.003_722_9, 0.007_110_1, -0.006_292_6, 0.005_023_7]),
        ("ciou", [-0.003_980_6, 0.007_077_1, -0.004_907_7, 0.004_065_2]),
    ] {
        let corners = of(metric, &["p.json", "g.json"]);
        assert_near(&corners["gradients"][0], &expected, 6e-8);
        let centres = of(metric, &["--format", "cxcywh", "p-centre.csv", "g-centre.csv"]);
        assert_eq!(corners["values"], centres["values"]);
        let [x1, y1, x2, y2] = expected;
        let pulled = [x1 + x2, y1 + y2, (x2 - x1) / 2.0, (y2 - y1) / 2.0];
        assert_near(&centres["gradients"][0], &pulled, 2e-7);
    }
    let differentiated = of("ciou", &["--convention", "differentiated", "p.json", "g.json"]);
    assert_near(
        &differentiated["gradients"][0],
        &[-0.003_954_9, 0.007_049, -0.004_926_7, 0.004_084_8],
        6e-8,
    );
}

#[test]
fn conventions_have_names() {
    let folder = pairs();
    let by = |metric: &str, convention: &str| {
        let arguments = ["iou", "--metric", metric, "--convention", convention, "p.csv", "g.json"];
        numbers(&json(&folder, &arguments)["values"])
    };
    let near = |found: &[f64], expected: [f64; 4]| {
        assert!(
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5),
            "{found:?}"
        );
    };
    // mmdetection's alpha is zero up to IoU 1/2.
    near(&by("ciou", "mmdetection"), [0.446_098, -0.371_951, 0.015, 0.794_88]);
    near(&by("ciou", "torchvision"), [0.445_638, -0.372_197, 0.013_17, 0.794_88]);
    assert_ne!(by("ciou", "torchvision"), by("ciou", "paper"));
    assert_eq!(by("ciou", "torchvision"), by("ciou", "ultralytics"));
    assert!(by("siou", "mmdetection")[1] > by("siou", "paper")[1], "the other sign");
    let inclusive = json(&folder, &["iou", "--format", "xyxy-inclusive", "p.csv", "g.json"]);
    // 11 x 9 pixels of 11 x 11.
    assert!((numbers(&inclusive["values"])[3] - 9.0 / 11.0).abs() < 1e-12);
}

#[test]
fn pairwise_is_every_box_with_every_target() {
    let folder = folder(&[
        ("a.csv", "0,0,100,100\n0,0,50,50\n200,200,300,300\n0,0,25,25\n"),
        ("b.csv", "0,0,100,100\n0,0,50,50\n200,200,300,300\n"),
        ("none.csv", "x1,y1,x2,y2\n"),
    ]);
    let all = json(
        &folder,
        &["iou", "--pairwise", "--metric", "giou", "--gradient", "a.csv", "b.csv"],
    );
    let expected = [
        [1.0, 0.25, -0.7778],
        [0.25, 1.0, -0.8611],
        [-0.7778, -0.8611, 1.0],
        [0.0625, 0.25, -0.8819],
    ];
    for (row, expected) in expected.iter().enumerate() {
        assert_near(&all["values"][row], expected, 1e-4);
        assert_eq!(all["gradients"][row].as_array().map(Vec::len), Some(3));
    }
    assert_eq!(
        all["gradients"][0][0],
        json!([0.0, 0.0, 0.0, 0.0]),
        "at its target a box has no slope"
    );
    let none = |a, b| json(&folder, &["iou", "--pairwise", a, b])["values"].clone();
    assert_eq!(none("none.csv", "b.csv"), json!([]));
    assert_eq!(none("b.csv", "none.csv"), json!([[], [], []]));
}

#[test]
fn rotated_boxes_have_five_numbers() {
    let folder = folder(&[
        ("a.csv", "1,1,3,4,.5\n2,2,3,4,.6\n7,7,8,8,.4\n"),
        ("b.csv", "0,2,2,5,.3\n2,1,3,3,.5\n5,5,6,7,.4\n"),
        ("cross.csv", "5,5,8,1,0,.9\n5,5,8,1,1.5708,.8\n"),
    ]);
    let rotated = ["iou", "--format", "cxcywha", "a.csv", "b.csv"];
    let all = json(&folder, &[&rotated[..], &["--pairwise"]].concat());
    for (row, expected) in [[0.3708, 0.4351, 0.0], [0.1104, 0.4487, 0.0424], [0.0, 0.0, 0.3622]]
        .iter()
        .enumerate()
    {
        assert_near(&all["values"][row], expected, 5e-5);
    }
    let gaussian = json(
        &folder,
        &[&rotated[..], &["--metric", "prob-iou", "--gradient"]].concat(),
    );
    assert_eq!(gaussian["gradients"][2].as_array().map(Vec::len), Some(5));
    let keep = |angle| json(&folder, &["nms", "--format", "cxcywha", "--angle", angle, "cross.csv"])["keep"].clone();
    assert_eq!(keep("mmcv"), json!([0, 1]), "a quarter turn");
    assert_eq!(keep("detectron2"), json!([0]), "hardly turned");
}

#[test]
fn suppression_keeps_what_torchvision_keeps() {
    #[derive(serde::Deserialize)]
    struct Fixture {
        boxes: Vec<[f64; 4]>,
        scores: Vec<f64>,
        classes: Vec<u32>,
        thresholds: Vec<f64>,
        nms: Vec<Vec<u32>>,
        batched_nms: Vec<Vec<u32>>,
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../boxes/tests/fixtures/nms.json");
    let fixture: Fixture = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let rows = || fixture.boxes.iter().zip(&fixture.scores).zip(&fixture.classes);
    let scored = rows().map(|(([a, b, c, d], score), _)| format!("{a},{b},{c},{d},{score}\n"));
    let classed: Vec<Value> = rows()
        .map(|(([a, b, c, d], score), class)| json!([a, b, c, d, score, class]))
        .collect();
    let folder = folder(&[
        ("scored.csv", &scored.collect::<String>()),
        ("classed.json", &Value::from(classed).to_string()),
    ]);
    for (index, threshold) in fixture.thresholds.iter().enumerate() {
        let keep = |file| json(&folder, &["nms", "--iou", &threshold.to_string(), file])["keep"].clone();
        assert_eq!(keep("scored.csv"), json!(fixture.nms[index]));
        assert_eq!(keep("classed.json"), json!(fixture.batched_nms[index]));
    }
}

#[test]
fn assignment_costs_what_scipys_does() {
    #[derive(serde::Deserialize)]
    struct Case {
        shape: [usize; 2],
        cost: Vec<Option<f64>>,
        total: Option<f64>,
        feasible: bool,
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../boxes/tests/fixtures/linear_assignment.json");
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let small = cases.iter().filter(|case| case.cost.len() <= 400);
    let (mut solved, mut refused) = (0, 0);
    for case in small {
        let rows: Vec<&[Option<f64>]> = case.cost.chunks(case.shape[1]).collect();
        let cell = |cell: &Option<f64>| cell.map_or("inf".into(), |cost| cost.to_string());
        let line = |row: &&[Option<f64>]| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n";
        let folder = folder(&[
            ("cost.csv", &rows.iter().map(line).collect::<String>()),
            ("cost.json", &json!(rows).to_string()),
        ]);
        if case.feasible {
            let found = json(&folder, &["assign", "cost.csv"]);
            assert!((found["cost"].as_f64().unwrap() - case.total.unwrap()).abs() < 1e-9);
            assert_eq!(
                found["rows"].as_array().map(Vec::len),
                Some(case.shape[0].min(case.shape[1]))
            );
            assert_eq!(json(&folder, &["assign", "cost.json"]), found);
            solved += 1;
        } else {
            assert_eq!(etude(&folder, &["assign", "cost.csv"]).status.code(), Some(2));
            refused += 1;
        }
    }
    assert!(solved >= 10 && refused >= 1, "{solved} solved, {refused} refused");
}

#[test]
fn results_are_tables_for_people() {
    let folder = folder(&[
        ("p.csv", PREDICTED),
        ("g.json", TARGETS),
        (
            "boxes.csv",
            "6,3,8,7,.6,1\n3,6,9,11,.9,1\n3,7,10,12,.7,1\n1,4,13,7,.2,1\n",
        ),
        ("cost.csv", "4,1,3\n2,0,5\n3,inf,2\n"),
        ("long.csv", &"0,0,1,1\n".repeat(1234)),
    ]);
    let runs: [&[&str]; 7] = [
        &["iou", "--metric", "ciou", "p.csv", "g.json"],
        &[
            "iou",
            "--metric",
            "giou",
            "--gradient",
            "--format",
            "xywh",
            "p.csv",
            "g.json",
        ],
        &["iou", "--pairwise", "p.csv", "g.json"],
        &["iou", "long.csv", "long.csv"],
        &["iou", "--pairwise", "p.csv", "long.csv"],
        &["nms", "--iou", "0.3", "boxes.csv"],
        &["assign", "cost.csv"],
    ];
    insta::assert_snapshot!(runs.map(|run| transcript(&folder, run)).join("\n"));
}

#[test]
fn bad_input_is_told_with_its_place() {
    let folder = folder(&[
        ("p.csv", PREDICTED),
        ("g.json", TARGETS),
        ("short.csv", "0,0,1,1\n\n0,0,1\n"),
        ("three.csv", "0,0,1\n"),
        ("word.csv", "0,0,1,1\n0,zero,1,1\n"),
        ("word.json", "[[0,0,1,1],\n[0,\"zero\",1,1]]"),
        ("short.json", "[[0,0,1,1],[0,0,1]]"),
        ("class.csv", "0,0,1,1,0.5,1\n0,0,1,1,0.5,1.5\n"),
        ("scored.csv", "0,0,1,1,0.5\n"),
        ("cost.csv", "1,2\n3,nan\n"),
        ("never.csv", "inf,1\ninf,2\n"),
    ]);
    let cases: [&[&str]; 19] = [
        &["iou", "missing.csv", "g.json"],
        &["iou", "q.csv", "g.json"],
        &["iou", "short.csv", "g.json"],
        &["iou", "three.csv", "g.json"],
        &["iou", "word.csv", "g.json"],
        &["iou", "word.json", "g.json"],
        &["iou", "short.json", "g.json"],
        &["iou", "p.csv", "class.csv"],
        &["iou", "--metric", "cuio", "p.csv", "g.json"],
        &["iou", "--metric", "mpdiou", "p.csv", "g.json"],
        &["iou", "--metric", "mpdiou", "--picture", "640", "p.csv", "g.json"],
        &["iou", "--metric", "prob-iou", "p.csv", "g.json"],
        &[
            "iou",
            "--metric",
            "eiou",
            "--convention",
            "mmdetection",
            "p.csv",
            "g.json",
        ],
        &[
            "iou",
            "--metric",
            "siou",
            "--convention",
            "torchvision",
            "p.csv",
            "g.json",
        ],
        &["nms", "class.csv"],
        &["nms", "p.csv"],
        &["nms", "--iou", "1.5", "scored.csv"],
        &["assign", "cost.csv"],
        &["assign", "never.csv"],
    ];
    insta::assert_snapshot!(cases.map(|case| transcript(&folder, case)).join("\n"));
    for case in cases {
        let output = etude(&folder, case);
        assert!(output.stdout.is_empty());
        assert_eq!(output.status.code(), Some(2), "{case:?}");
    }
}

/// A small form of the simulation.
const SMALL: [&str; 9] = [
    "simulate",
    "--set",
    "points=60",
    "--set",
    "areas=[0.5, 1]",
    "--set",
    "ratios=[0.25, 1, 4]",
    "--seed",
    "1",
];

#[test]
fn each_loss_does_what_it_was_made_for() {
    let folder = TempDir::new().unwrap();
    let simulated = json(&folder, &SMALL);
    assert_eq!(simulated["cases"], 60 * 2 * 3 * 3);
    let losses = simulated["losses"].as_array().unwrap();
    let of = |name: &str| losses.iter().find(|loss| loss["loss"] == name).unwrap();
    let number = |name: &str, key: &str| of(name)[key].as_f64().unwrap();
    let curve = |name: &str, key: &str| numbers(&of(name)[key]);
    for loss in losses {
        assert_eq!(
            loss["errors"].as_array().map(Vec::len),
            Some(201),
            "before the first iteration and after each"
        );
        assert_eq!(
            loss["errors"][0], losses[0]["errors"][0],
            "all begin with the same boxes"
        );
        let (met, apart) = (
            loss["error_met"].as_f64().unwrap(),
            loss["error_apart"].as_f64().unwrap(),
        );
        let share = simulated["apart"].as_f64().unwrap() / simulated["cases"].as_f64().unwrap();
        assert!((share * apart + (1.0 - share) * met - loss["error"].as_f64().unwrap()).abs() < 1e-12);
    }

    // IoU's plateau.
    let apart = curve("iou", "errors_apart");
    assert_eq!(apart, vec![apart[0]; 201], "boxes that do not meet do not move");
    assert!(number("iou", "error_met") < 0.1, "and those that do meet arrive");
    // GIoU's detour: boxes grow more on their way than under any other.
    let largest = |name: &str| curve(name, "areas_apart").into_iter().fold(0.0, f64::max);
    for other in ["diou", "ciou", "eiou"] {
        assert!(largest("giou") > 1.2 * largest(other), "{other}");
    }
    // The others arrive, and the more of the shape is in the loss the less error remains.
    for name in ["giou", "diou", "ciou", "eiou"] {
        assert!(number(name, "error") < 0.05 * number("iou", "error"), "{name}");
        assert!(of(name)["halved"].as_u64() < Some(80), "{name}");
    }
    assert!(number("ciou", "error") < number("diou", "error") && number("ciou", "error") < number("giou", "error"));
    assert!(number("eiou", "error") < number("ciou", "error"));
    assert!(of("iou")["halved"].is_null());

    // As published: DIoU and CIoU are far ahead of GIoU.
    let published = simulated["published"].as_array().unwrap();
    let at = |name: &str, step: usize| {
        let loss = published.iter().find(|loss| loss["loss"] == name).unwrap();
        numbers(&loss["errors"])[step]
    };
    assert_eq!(published.len(), 4, "the program has no EIoU");
    for name in ["diou", "ciou"] {
        assert!(
            at(name, 40) < 0.5 * at("giou", 40) && at(name, 200) < 0.1 * at("giou", 200),
            "{name}"
        );
    }
}

#[test]
fn one_thread_and_two_give_the_same_bytes() {
    let folder = TempDir::new().unwrap();
    // Also losses that look at the other boxes, and that know of a picture.
    let losses = ["--losses", "wiou-v1,wiou-v2,wiou-v3,mpdiou,ciou", "--json", "--threads"];
    let of = |threads| etude(&folder, &[&SMALL[..], &losses, &[threads]].concat()).stdout;
    let one = of("1");
    assert!(one.starts_with(b"{\"seed\":1,"));
    assert!(one == of("2"));
}

/// Every loss runs, and none of the numbers is anything but a number.
#[test]
fn all_losses_of_the_family_can_be_compared() {
    let folder = TempDir::new().unwrap();
    let all = "iou,giou,diou,ciou,eiou,focal-eiou,alpha-iou,alpha-giou,alpha-diou,alpha-ciou,siou,wiou-v1,wiou-v2,wiou-v3,mpdiou,inner-iou,inner-ciou,inner-siou,shape-iou,bounded-iou";
    let simulated = json(
        &folder,
        &[&SMALL[..], &["--losses", all, "--set", "iterations=50"]].concat(),
    );
    let losses = simulated["losses"].as_array().unwrap();
    let names: Vec<&str> = losses.iter().map(|loss| loss["loss"].as_str().unwrap()).collect();
    assert_eq!(names.join(","), all);
    for loss in losses {
        let errors = numbers(&loss["errors"]);
        assert!(errors.len() == 51 && errors[50] < errors[0] + 1e-9, "{loss}");
    }
}

#[test]
fn a_simulation_leaves_a_report_that_can_be_repeated() {
    let folder = TempDir::new().unwrap();
    let output = etude(&folder, &[&SMALL[..], &["--out", "run"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    let first = |(index, line)| {
        if index < 3 {
            line
        } else {
            str::split_whitespace(line).next().unwrap_or_default()
        }
    };
    // Which numbers there are is up to other tests.
    insta::assert_snapshot!(stdout.lines().enumerate().map(first).collect::<Vec<_>>().join("\n"));
    let run = folder.path().join("run");
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    for words in [
        "Error against iteration",
        "The way there",
        "Where the error stays",
        "GIoU: mean error",
        "mean area",
    ] {
        assert!(report.contains(words), "{words}");
    }
    assert_eq!(report.matches("class=\"map\"").count(), 5, "one map a loss");
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(metrics.contains("simulate/diou/apart"));
    let again = json(&folder, &["simulate", "run/config.toml"]);
    assert!(again == json(&folder, &SMALL));
}

#[test]
fn a_wrong_simulation_is_told_before_it_runs() {
    let folder = folder(&[("wrong.toml", "losses = [\"iou\"]\npoints = 10\nradius = -3\n")]);
    let cases: [&[&str]; 5] = [
        &["simulate", "--losses", "cuio"],
        &["simulate", "--set", "losses=[\"cuio\"]"],
        &["simulate", "--set", "ratios=[]"],
        &["simulate", "--set", "point=3"],
        &["simulate", "wrong.toml"],
    ];
    insta::assert_snapshot!(cases.map(|case| transcript(&folder, case)).join("\n"));
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn the_tour_stops_at_boxes() {
    let folder = TempDir::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_etude"))
        .args(["tour", "--only", "boxes", "--json"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let played: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(played["systems"][0]["system"], "boxes");
    let problem = &played["systems"][0]["problems"][0];
    assert_eq!(problem["cases"], 18_000);
    assert_eq!(problem["losses"].as_array().map(Vec::len), Some(5));
    assert!(!Path::new(&folder.path().join("runs")).exists());
}
