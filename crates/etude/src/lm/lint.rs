//! `etude lm lint`: what is wrong with data, before anything is trained on them.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use etude_align::data::lint::{LintModel, LintOptions, LintReport, PieceKind, Severity, ShownSequence, lint};
use etude_align::data::{DataFiles, DataOptions, Format, LossOptions, Truncation, TruncationMode};
use etude_lm::Source;

use crate::error::{CommandError, Context as _};
use crate::interrupt;
use crate::output::Output;
use crate::progress::Progress;
use crate::report::number::grouped;

/// What `etude lm lint` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Files of records, or folders of such files: .jsonl, .json, .csv (each also with .gz), .parquet
    #[arg(value_name = "DATA", required = true)]
    data: Vec<PathBuf>,
    /// The model that is to be trained: a GGUF file, a folder as Hugging Face's, or the name of a model in its cache
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// What the columns mean: language-modeling, prompt-only, prompt-completion, preference, unpaired-preference, sharegpt, alpaca,
    /// alpaca-text, openai, hh, hh-text or ranking; found out where it is not said
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Give columns the names that the format knows, such as `instruction=question,output=answer`
    #[arg(long, value_name = "NAME=COLUMN", value_delimiter = ',', value_parser = column)]
    columns: Vec<(String, String)>,
    /// Cut sequences to this many tokens; 0 stands for no limit
    #[arg(long, value_name = "N", default_value_t = 1024)]
    max_length: usize,
    /// Keep this end of a sequence that is cut: `keep_start` or `keep_end`
    #[arg(long, value_name = "MODE", default_value_t = TruncationMode::KeepStart)]
    truncation_mode: TruncationMode,
    /// Count prompts in the loss as well
    #[arg(long)]
    whole_loss: bool,
    /// Count only what the assistant says in the loss
    #[arg(long)]
    assistant_only_loss: bool,
    /// Show this many records as the model sees them, the first ones
    #[arg(long, value_name = "N", default_value_t = 3)]
    show: usize,
}

/// A name and the column that is to have it.
fn column(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, column)) if !name.is_empty() && !column.is_empty() => Ok((name.to_owned(), column.to_owned())),
        _ => Err("expected NAME=COLUMN, such as prompt=question".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), CommandError> {
    let data = || "cannot read the data".to_owned();
    let files = DataFiles::find(&arguments.data).bad_input(data)?;
    let source = Source::open(&arguments.model).bad_input(|| format!("cannot open {}", arguments.model))?;
    interrupt::install()?;
    let model = LintModel {
        tokenizer: &source.tokenizer,
        chat_template: source.chat_template.as_ref(),
        stop_tokens: &source.stop_tokens,
        context: source.config.context,
    };
    let options = LintOptions {
        loss: LossOptions {
            completion_only_loss: !arguments.whole_loss,
            assistant_only_loss: arguments.assistant_only_loss,
        },
        truncation: Truncation {
            max_length: (arguments.max_length > 0).then_some(arguments.max_length),
            mode: arguments.truncation_mode,
        },
        shown: arguments.show,
    };
    let mut records = files.records(&DataOptions {
        format: arguments.format,
        columns: arguments.columns.clone(),
    });
    let spinner = Progress::spinner(output, "reading");
    let report = lint(&mut records, &model, &options, |_| !interrupt::interrupted()).bad_input(data)?;
    spinner.finish();
    if interrupt::interrupted() {
        return Err(CommandError::failed_run("stopped on request"));
    }
    for line in words(&report, output.colour()) {
        output.line(&line);
    }
    output.result_json(&report);
    if report.is_ruinous() {
        let ruinous = report
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
        return Err(ruinous.fold(
            CommandError::failed_run("training on these data would come to nothing"),
            |error, finding| error.because(finding.message.clone()),
        ));
    }
    Ok(())
}

/// The report, line by line.
fn words(report: &LintReport, colour: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for record in &report.shown {
        for sequence in &record.sequences {
            lines.push(format!(
                "{} ({}, {} tokens)",
                record.place,
                sequence.name,
                grouped(sequence.tokens)
            ));
            lines.push(pieces(sequence, colour));
        }
    }
    if !report.shown.is_empty() {
        let legend = [
            (PieceKind::Supervised, "counts in the loss"),
            (PieceKind::Cut, "is cut off"),
        ];
        let legend = legend.map(|(kind, meaning)| format!("{} {meaning}", marked("this", kind, colour)));
        lines.push(format!("{}\n", legend.join(", ")));
    }
    let mut row = |label: &str, value: String| lines.push(format!("  {label:<12}{value}"));
    row("format", report.format.unwrap_or("unknown").to_owned());
    row("records", grouped(report.records));
    if !report.other_columns.is_empty() {
        row("not used", report.other_columns.join(", "));
    }
    let tokens = &report.tokens;
    let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
    row(
        "tokens",
        format!(
            "{} in {} sequences, the longest of {}; {} ({:.1} %) count in the loss",
            grouped(tokens.total),
            grouped(tokens.sequences),
            grouped(tokens.longest),
            grouped(tokens.supervised),
            share(tokens.supervised, tokens.total),
        ),
    );
    let cut = &report.truncation;
    row(
        "truncation",
        match cut.max_length {
            None => "none".to_owned(),
            Some(length) => format!(
                "to {} tokens ({}): {} sequences lose {} tokens, of which {} count in the loss",
                grouped(length),
                cut.mode,
                grouped(cut.sequences),
                grouped(cut.tokens),
                grouped(cut.supervised),
            ),
        },
    );
    if let Some(pairs) = &report.pairs {
        row(
            "answers",
            format!(
                "chosen have {:.1} tokens, rejected {:.1}; chosen is the longer one in {:.1} % of the pairs of unequal length",
                pairs.chosen_tokens,
                pairs.rejected_tokens,
                100.0 * pairs.chosen_longer,
            ),
        );
    }
    if let Some(labels) = &report.labels {
        row(
            "labels",
            format!(
                "{} true, {} false",
                grouped(labels.desirable),
                grouped(labels.undesirable)
            ),
        );
    }
    lines.push(String::new());
    if report.findings.is_empty() {
        lines.push("nothing is amiss".to_owned());
    }
    for finding in &report.findings {
        let (name, style) = match finding.severity {
            Severity::Error => ("error", "1;31"),
            Severity::Warning => ("warning", "33"),
        };
        let name = if colour {
            format!("\x1b[{style}m{name}\x1b[0m")
        } else {
            name.to_owned()
        };
        lines.push(format!("{name}: {}", printable(&finding.message)));
        if let Some(first) = &finding.first {
            lines.push(format!("  first: {}", printable(first)));
        }
    }
    lines
}

/// A sequence as the model sees it.
fn pieces(sequence: &ShownSequence, colour: bool) -> String {
    let mut text = String::from("  ");
    for piece in &sequence.pieces {
        let said = printable(&piece.text).replace('\n', "↵\n  ");
        text.push_str(&marked(&said, piece.kind, colour));
    }
    text.push('\n');
    text
}

/// Text that counts in green, text that is cut off in red and struck through; without colours in brackets.
fn marked(text: &str, kind: PieceKind, colour: bool) -> String {
    let (style, open, close) = match kind {
        PieceKind::Context => return text.to_owned(),
        PieceKind::Supervised => ("32", "⟦", "⟧"),
        PieceKind::Cut => ("9;31", "⟨", "⟩"),
    };
    if colour {
        format!("\x1b[{style}m{text}\x1b[0m")
    } else {
        format!("{open}{text}{close}")
    }
}

/// Data may hold terminal commands: control characters are escaped.
fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' {
            let _ = write!(safe, "{}", character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use etude_align::data::lint::Piece;

    #[test]
    fn text_that_counts_is_marked_and_terminal_commands_are_escaped() {
        let piece = |text: &str, kind| Piece {
            text: text.to_owned(),
            kind,
        };
        let sequence = ShownSequence {
            name: "chosen",
            tokens: 3,
            pieces: vec![
                piece("one\n\x1b[2J", PieceKind::Context),
                piece("two\n", PieceKind::Supervised),
                piece("three", PieceKind::Cut),
            ],
        };
        assert_eq!(pieces(&sequence, false), "  one↵\n  \\u{1b}[2J⟦two↵\n  ⟧⟨three⟩\n");
        assert_eq!(
            pieces(&sequence, true),
            "  one↵\n  \\u{1b}[2J\x1b[32mtwo↵\n  \x1b[0m\x1b[9;31mthree\x1b[0m\n"
        );
    }
}
