//! What is printed: a line while it goes on, and the table at the end, for a terminal or as the README's.

use std::fmt::Write as _;

/// How the table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For a terminal.
    Text,
    /// As tables of a manual.
    Markdown,
}

/// What a figure should be: of what is compared the ratio, else the figure itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

/// At least so much.
#[expect(clippy::unnecessary_wraps, reason = "a figure may have no aim, and says None")]
pub(crate) const fn least(value: f64) -> Option<Aim> {
    Some(Aim::AtLeast(value))
}

/// At most so much.
#[expect(clippy::unnecessary_wraps, reason = "a figure may have no aim, and says None")]
pub(crate) const fn most(value: f64) -> Option<Aim> {
    Some(Aim::AtMost(value))
}

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(aim) => value >= aim,
            Self::AtMost(aim) => value <= aim,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(aim) => format!(">= {}", grouped(aim)),
            Self::AtMost(aim) => format!("<= {}", grouped(aim)),
        }
    }
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    Section { title: String, other: String },
    Figure(Figure),
    Note(String),
}

#[derive(Debug)]
struct Figure {
    name: String,
    ours: f64,
    other: Option<f64>,
    ratio: Option<f64>,
    aim: Option<Aim>,
}

impl Table {
    /// Begins a section, whose figures are compared with those of `other`.
    pub(crate) fn section(&mut self, title: impl Into<String>, other: impl Into<String>) {
        self.lines.push(Line::Section { title: title.into(), other: other.into() });
    }

    /// A figure and what it is compared with, and the ratio that the aim is for.
    pub(crate) fn compare(&mut self, name: impl Into<String>, [ours, other]: [f64; 2], ratio: f64, aim: Option<Aim>) {
        self.lines.push(Line::Figure(Figure { name: name.into(), ours, other: Some(other), ratio: Some(ratio), aim }));
    }

    /// A figure on its own.
    pub(crate) fn single(&mut self, name: impl Into<String>, ours: f64, aim: Option<Aim>) {
        self.lines.push(Line::Figure(Figure { name: name.into(), ours, other: None, ratio: None, aim }));
    }

    /// What was not measured, and why.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Note(text.into()));
    }

    /// Prints it below `head`.
    #[expect(clippy::print_stdout, reason = "the table is what this program is for")]
    pub(crate) fn print(&self, head: &[String], output: Output) {
        println!("{}", self.render(head, output).trim_end());
    }

    fn render(&self, head: &[String], output: Output) -> String {
        let mut text = String::new();
        for line in head {
            writeln!(text, "{line}").expect("a string takes everything");
        }
        for line in &self.lines {
            match output {
                Output::Text => line.write_text(&mut text),
                Output::Markdown => line.write_markdown(&mut text),
            }
        }
        text
    }
}

impl Line {
    fn write_text(&self, text: &mut String) {
        match self {
            Self::Section { title, other } => {
                let against = if other.is_empty() { String::new() } else { format!(", against {other}") };
                let titles = if other.is_empty() { ["", ""] } else { ["other", "ratio"] };
                write!(text, "\n{title}{against}\n{:<48}{:>11}{:>11}{:>8}  aim", "", "ours", titles[0], titles[1])
            }
            Self::Figure(figure) => {
                let [ours, other, ratio, aim, met] = figure.cells();
                let name = &figure.name;
                let line = format!("  {name:<46}{ours:>11}{other:>11}{ratio:>8}  {aim} {met}");
                write!(text, "{}", line.trim_end())
            }
            Self::Note(note) => write!(text, "  {note}"),
        }
        .expect("a string takes everything");
        text.push('\n');
    }

    fn write_markdown(&self, text: &mut String) {
        match self {
            Self::Section { title, other } => {
                let other = if other.is_empty() { "-" } else { other };
                write!(text, "\n| {title} | ours | {other} | ratio | aim | |\n|---|--:|--:|--:|---|---|")
            }
            Self::Figure(figure) => {
                let [ours, other, ratio, aim, met] = figure.cells();
                let row = format!("| {} | {ours} | {other} | {ratio} | {aim} | {met} |", figure.name);
                write!(text, "{}", row.replace("|  ", "| ").replace("|  ", "| "))
            }
            Self::Note(note) => write!(text, "| {note} | | | | | |"),
        }
        .expect("a string takes everything");
        text.push('\n');
    }
}

impl Figure {
    fn cells(&self) -> [String; 5] {
        let met = self.aim.map(|aim| aim.is_met(self.ratio.unwrap_or(self.ours)));
        [
            grouped(self.ours),
            self.other.map_or_else(String::new, grouped),
            self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            self.aim.map_or_else(String::new, Aim::text),
            met.map_or("", |met| if met { "met" } else { "missed" }).to_owned(),
        ]
    }
}

/// Says what goes on.
#[expect(clippy::print_stderr, reason = "whoever waits for minutes wants to know for what")]
pub(crate) fn say(text: &str) {
    eprintln!("bench: {text}");
}

/// Three digits are as many as a measurement gives; thousands are set apart.
fn grouped(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    if value < 100.0 {
        return format!("{value:.1}").trim_end_matches(".0").to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::default();
        table.section("Calls", "a bare handler");
        table.compare("calls/s", [90_000.0, 100_000.0], 0.9, least(0.92));
        table.single("bytes a key", 12.34, most(350.0));
        table.note("redis-server is not installed: not measured");
        table
    }

    #[test]
    fn a_terminal_gets_columns_and_whether_each_aim_is_met() {
        let text = table().render(&["2026-11-22".to_owned()], Output::Text);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[2], "Calls, against a bare handler");
        assert!(lines[4].ends_with("90,000    100,000    0.90  >= 0.92 missed"), "{text}");
        assert!(lines[5].ends_with("12.3                     <= 350 met"), "{text}");
        assert_eq!(lines[4].find("90,000").map(|at| at + 6), lines[5].find("12.3").map(|at| at + 4));
    }

    #[test]
    fn a_manual_gets_tables() {
        let text = table().render(&[], Output::Markdown);
        assert!(
            text.contains("| Calls | ours | a bare handler | ratio | aim | |\n|---|--:|--:|--:|---|---|\n"),
            "{text}"
        );
        assert!(text.contains("| bytes a key | 12.3 | | | <= 350 | met |\n"), "{text}");
    }

    #[test]
    fn figures_have_three_digits_and_their_thousands_apart() {
        let texts = [0.5, 9.876, 12.34, 100.0, 1_234.5, 1_234_567.0].map(grouped);
        assert_eq!(texts, ["0.5", "9.88", "12.3", "100", "1,234", "1,234,567"]);
    }
}
