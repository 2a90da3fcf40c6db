//! Opens a report in headless Chromium: what a reader sees must be there, and nothing may be asked of the network.
//!
//! Without a browser on the PATH the tests say so and pass, unless `ETUDE_REQUIRE_CHROMIUM=1` makes its absence a
//! failure.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use etude::report::{CellKind, Code, Directions, GridMap, Picture, Plot, Provenance, Report, Section, Table};

/// The optimal values of the 5 x 5 grid world with a forbidden-cell reward of -10 and a discount of 0.9.
const VALUES: [f64; 25] = [
    3.486_784, 3.874_205, 4.304_672, 4.782_969, 5.314_410, //
    3.138_106, 3.486_784, 4.782_969, 5.314_410, 5.904_900, //
    2.824_295, 2.541_866, 10.0, 5.904_900, 6.561_000, //
    2.541_866, 10.0, 10.0, 10.0, 7.290_000, //
    2.287_679, 9.0, 10.0, 9.0, 8.100_000,
];
const FORBIDDEN: [usize; 6] = [6, 7, 12, 16, 18, 21];
const TARGET: usize = 17;

/// How long a browser may take.
const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn the_reader_sees_everything_and_the_network_nothing() {
    let Some(browser) = Browser::find() else { return };
    let page = sample().render();
    let path = Browser::save("report.html", &page);
    let seen = browser.dump(&path);

    for text in [
        "Grid world, 5 × 5",
        "Optimal values",
        "Convergence",
        "Methods",
        "Recipe",
        "policy iteration",
        "3.486784 (right)",
    ] {
        assert!(seen.contains(text), "the page lacks {text:?}");
    }
    assert!(
        seen.matches("<svg").count() >= 3 && seen.matches("<td").count() >= 12,
        "{seen}"
    );
    for address in ["http://", "https://", "src=", "url(", "<link", "<script"] {
        assert!(
            !page.contains(address),
            "the page refers to something outside: {address}"
        );
    }
}

#[test]
fn a_telephone_needs_no_sideways_scrolling() {
    let Some(browser) = Browser::find() else { return };
    for width in [320, 400, 768, 1280] {
        let framed = sample().render().replace('&', "&amp;").replace('"', "&quot;");
        // A frame has exactly the width asked for, where a headless window does not go below 500 pixels; it is high
        // enough to need no scroll bar, which would take its share of the width.
        let wrapper = format!(
            "<!DOCTYPE html><iframe style='width:{width}px;height:30000px;border:0' srcdoc=\"{framed}\" \
             onload='const root = this.contentDocument.documentElement; \
             document.title = `inner ${{root.clientWidth}} content ${{root.scrollWidth}}`'></iframe>"
        );
        let path = Browser::save("report-framed.html", &wrapper);
        let seen = browser.dump(&path);
        assert!(
            seen.contains(&format!("<title>inner {width} content {width}</title>")),
            "at {width} pixels the page overflows: {:?}",
            seen.split("<title>")
                .nth(1)
                .and_then(|rest| rest.split("</title>").next())
        );
    }
}

#[test]
fn the_page_is_painted_in_both_schemes() {
    let Some(browser) = Browser::find() else { return };
    let path = Browser::save("report-painted.html", &sample().render());
    for (scheme, setting) in [("dark", 0), ("light", 1)] {
        let picture = path.with_file_name(format!("report-{scheme}.png"));
        browser.run(&[
            &format!("--blink-settings=preferredColorScheme={setting}"),
            "--window-size=1200,2400",
            &format!("--screenshot={}", picture.display()),
            &address(&path),
        ]);
        // A blank page of this size compresses to some 13 kB.
        let size = fs::metadata(&picture).expect("the browser writes the picture").len();
        assert!(size > 60_000, "the {scheme} picture has only {size} bytes");
    }
}

const RECIPE: &str = r#"# The grid world of the book.
[grid]
size = [5, 5]
forbidden = [[2, 2], [2, 3], [3, 3], [4, 2], [4, 4], [5, 2]]  # row, column
target = [4, 3]

[solve]
method = "value-iteration"
gamma = 0.9
tolerance = 1e-6
"#;

/// A report with an item of each kind.
fn sample() -> Report {
    Report::new("Grid world, 5 × 5")
        .subtitle("Optimal policy for a discount of 0.9, solved by value iteration to a guaranteed error of 1e-6.")
        .card("Sweeps", "133", "value iteration")
        .card("Guaranteed error", "8.2e-7", "sup norm")
        .card("Bellman residual", "9.1e-8", "")
        .card("Optimal actions", "27", "in 25 states")
        .section(
            Section::new("Optimal values")
                .text("Each cell shows the value of its state and an arrow for every action that is optimal there.")
                .item(&map("Optimal values and every optimal action", VALUES).arrows(optimal_actions()))
                .item(&map("Difference from seven", VALUES.map(|value| value - 7.0)))
                .note("A forbidden cell may be entered, and costs 10."),
        )
        .section(
            Section::new("Convergence")
                .text("The distance from the optimal values after each sweep. Equal slopes are equal rates.")
                .item(&errors())
                .item(&returns()),
        )
        .section(
            Section::new("Methods").item(
                &Table::new(["method", "sweeps", "seconds", "guaranteed error"])
                    .row(["value iteration", "133", "0.00041", "8.2e-7"])
                    .row(["policy iteration", "8", "0.00012", "3.1e-15"])
                    .row(["closed form", "—", "0.00009", "1.2e-15"])
                    .caption("Times on two cores."),
            ),
        )
        .section(Section::new("Larger pictures").item(&waves()).item(&Picture::svg(
            "A circle",
            "<svg viewBox='0 0 20 20' width='20'><circle cx='10' cy='10' r='9' fill='teal'/></svg>",
        )))
        .section(Section::new("Recipe").item(&Code::toml(RECIPE)))
        .provenance(Provenance {
            command: "etude mdp solve recipes/mdp/grid-5x5.toml --method value-iteration --tolerance 1e-6".into(),
            seed: Some(0),
            wall_time: Duration::from_millis(41),
        })
}

/// Values on the grid of the book, with its forbidden cells and its target.
fn map(caption: &str, values: [f64; 25]) -> GridMap {
    let mut kinds = [CellKind::Plain; 25];
    for cell in FORBIDDEN {
        kinds[cell] = CellKind::Forbidden;
    }
    kinds[TARGET] = CellKind::Target;
    GridMap::new(caption, 5, 5, values).kinds(kinds)
}

/// Errors that fall at several rates, two of them the same.
fn errors() -> Plot {
    let decay = |rate: f64, count: i32| (0..count).map(move |k| (f64::from(k), 10.0 * rate.powi(k)));
    Plot::new(
        "Every method contracts at least by the discount.",
        "sweep",
        "sup-norm error",
    )
    .log_y()
    .series("value iteration", decay(0.9, 134))
    .series("truncated policy iteration, 1 sweep", decay(0.9, 134))
    .series("Gauss-Seidel", decay(0.82, 80))
    .series("policy iteration", decay(0.05, 8))
}

/// A long and noisy curve, to be thinned.
fn returns() -> Plot {
    let mean = |step: i32| 200.0 * (1.0 - (-f64::from(step) / 9000.0).exp());
    let noisy = (0..50_000).map(|step| (f64::from(step), mean(step) + f64::from(step * 7919 % 61)));
    Plot::new("A noisy return on a linear axis.", "step", "return").series("return", noisy)
}

/// A map too large to be drawn cell by cell.
fn waves() -> GridMap {
    let value = |cell: i32| f64::from(cell / 400) * (f64::from(cell % 400) / 40.0).sin();
    GridMap::new("Waves", 300, 400, (0..400 * 300).map(value).collect::<Vec<_>>())
}

/// The actions of each state that are greedy for the optimal values.
fn optimal_actions() -> Vec<Directions> {
    let moves = [
        (Directions::UP, -1, 0),
        (Directions::RIGHT, 0, 1),
        (Directions::DOWN, 1, 0),
        (Directions::LEFT, 0, -1),
        (Directions::STAY, 0, 0),
    ];
    let action_value = |state: i32, rows: i32, columns: i32| {
        let (row, column) = (state / 5 + rows, state % 5 + columns);
        let inside = (0..5).contains(&row) && (0..5).contains(&column);
        let next = usize::try_from(if inside { row * 5 + column } else { state }).expect("a cell of the grid");
        let reward = match next {
            _ if !inside => -1.0,
            TARGET => 1.0,
            _ if FORBIDDEN.contains(&next) => -10.0,
            _ => 0.0,
        };
        reward + 0.9 * VALUES[next]
    };
    let greedy = |state: i32| {
        let values = moves.map(|(_, rows, columns)| action_value(state, rows, columns));
        let best = values.into_iter().fold(f64::MIN, f64::max);
        let optimal = moves.into_iter().zip(values).filter(|(_, value)| best - value < 1e-5);
        optimal.fold(Directions::NONE, |set, ((direction, ..), _)| set | direction)
    };
    (0..25).map(greedy).collect()
}

/// A browser with a profile of its own, which is deleted when the test ends.
struct Browser {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Browser {
    fn find() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let found = env::split_paths(&path)
            .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)))
            .find(|program| program.is_file());
        let Some(program) = found else {
            let required = env::var_os("ETUDE_REQUIRE_CHROMIUM").is_some_and(|value| value == "1");
            assert!(
                !required,
                "ETUDE_REQUIRE_CHROMIUM=1, but there is no Chromium on the PATH"
            );
            announce("skipped: there is no Chromium on the PATH");
            return None;
        };
        Some(Self {
            program,
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        })
    }

    /// Saves a page in `target/tmp`, where it stays for people to look at.
    fn save(name: &str, text: &str) -> PathBuf {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).expect("a file can be written in the build folder");
        path
    }

    /// The page's elements as the browser has them once it is loaded.
    fn dump(&self, page: &Path) -> String {
        self.run(&["--dump-dom", &address(page)])
    }

    /// Runs the browser to its end and returns what it printed. A browser that hangs is killed with all its children.
    fn run(&self, arguments: &[&str]) -> String {
        let printed = self.folder.path().join("printed");
        let mut command = Command::new(&self.program);
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-breakpad",
            ])
            .arg(format!(
                "--user-data-dir={}",
                self.folder.path().join("profile").display()
            ))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(File::create(&printed).expect("a temporary file can be written"))
            .stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().expect("the browser starts");
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            match child.try_wait().expect("the browser can be waited for") {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => break None,
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        if status.is_none() {
            #[cfg(unix)]
            let _ = Command::new("kill")
                .args(["-KILL", "--", &format!("-{}", child.id())])
                .status();
            let _ = child.kill();
            let _ = child.wait();
        }
        assert!(
            status.is_some_and(|status| status.success()),
            "{arguments:?}: {status:?} (none: over {LIMIT:?})"
        );
        fs::read_to_string(printed).expect("the browser prints text")
    }
}

fn address(path: &Path) -> String {
    format!("file://{}", path.display())
}

#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn announce(text: &str) {
    eprintln!("report_browser: {text}");
}
