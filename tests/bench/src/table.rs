//! What is printed: a line while it goes on, and the table at the end.

use std::fmt::Write as _;

/// The table, line by line.
#[derive(Debug, Default)]
pub(crate) struct Table {
    text: String,
}

impl Table {
    /// Begins a section.
    pub(crate) fn section(&mut self, title: &str) {
        self.line(&format!("\n{title}"), ["ours", "other", "ratio", "aim"].map(str::to_owned));
    }

    /// A figure and what it is compared with, and the ratio; the aim is the least ratio.
    pub(crate) fn compare(&mut self, name: &str, [ours, other]: [f64; 2], ratio: f64, aim: Option<f64>) {
        let aim = aim.map_or_else(String::new, |aim| format!(">= {aim}"));
        self.line(&format!("  {name}"), [number(ours), number(other), format!("{ratio:.2}"), aim]);
    }

    /// A figure on its own; the aim is the most.
    pub(crate) fn single(&mut self, name: &str, value: f64, aim: Option<f64>) {
        let aim = aim.map_or_else(String::new, |aim| format!("<= {aim}"));
        self.line(&format!("  {name}"), [number(value), String::new(), String::new(), aim]);
    }

    fn line(&mut self, name: &str, [ours, other, ratio, aim]: [String; 4]) {
        // A title is longer than a name, and then the columns come below it.
        let (title, name) = if name.len() > 36 { (format!("{name}\n"), "") } else { (String::new(), name) };
        let line = format!("{title}{name:<36}{ours:>12}{other:>12}{ratio:>8}{aim:>9}");
        writeln!(self.text, "{}", line.trim_end()).expect("a string takes everything");
    }

    /// Prints it.
    #[expect(clippy::print_stdout, reason = "the table is what this program is for")]
    pub(crate) fn print(&self, head: &str) {
        println!("{head}\n{}", self.text.trim_end());
    }
}

/// Says what goes on.
#[expect(clippy::print_stderr, reason = "whoever waits for minutes wants to know for what")]
pub(crate) fn say(text: &str) {
    eprintln!("bench: {text}");
}

/// Three digits are as many as a measurement gives.
fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::default();
        table.section("A section whose title is longer than the column of names");
        table.compare("calls/s", [90_000.0, 100_000.0], 0.9, Some(0.9));
        table.single("bytes", 12.34, Some(400.0));
        let lines: Vec<_> = table.text.lines().skip(2).collect();
        let ends = lines.iter().map(|line| line.len()).collect::<Vec<_>>();
        assert_eq!(ends, [77, 77, 77], "{}", table.text);
    }
}
