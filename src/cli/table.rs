//! Tables for people: aligned, with colours where a terminal shows them.

use super::failure::Failure;
use super::output::Output;
use ratatui::text::Span;
use std::io::IsTerminal;

/// What a cell says beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Plain,
    /// The head of a column.
    Head,
    /// All is well.
    Good,
    /// It deserves a look.
    Notable,
    /// It is bad.
    Bad,
}

impl Mood {
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Head => Some("1"),
            Self::Good => Some("32"),
            Self::Notable => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    mood: Mood,
    is_number: bool,
}

impl Cell {
    /// Text, which was escaped if it came from others. It stands to the left.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), mood: Mood::Plain, is_number: false }
    }

    /// A number, which stands to the right.
    pub(super) fn number(text: impl ToString) -> Self {
        Self { text: text.to_string(), mood: Mood::Plain, is_number: true }
    }

    pub(super) const fn mood(mut self, mood: Mood) -> Self {
        self.mood = mood;
        self
    }

    fn width(&self) -> usize {
        Span::raw(self.text.as_str()).width()
    }

    fn aligned(&self, width: usize, colours: bool) -> String {
        let blanks = " ".repeat(width.saturating_sub(self.width()));
        let text = painted(&self.text, self.mood, colours);
        if self.is_number { blanks + &text } else { text + &blanks }
    }
}

/// Text in the colour of its mood.
pub(super) fn painted(text: &str, mood: Mood, colours: bool) -> String {
    match mood.code().filter(|_| colours) {
        Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
        None => text.to_owned(),
    }
}

/// A number of losses: none is good.
pub(super) fn losses(number: u64) -> Cell {
    let mood = if number == 0 { Mood::Plain } else { Mood::Bad };
    Cell::number(number).mood(mood)
}

/// Whether standard output shows colours and the user wants them.
pub(super) fn colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Rows below heads.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these heads. Those over numbers begin with `>`.
    pub(super) fn new(heads: &[&str]) -> Self {
        let head = |head: &&str| match head.strip_prefix('>') {
            Some(head) => Cell::number(head).mood(Mood::Head),
            None => Cell::text(*head).mood(Mood::Head),
        };
        Self { rows: vec![heads.iter().map(head).collect()] }
    }

    pub(super) fn add(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// The lines, without blanks at their ends.
    pub(super) fn lines(&self, colours: bool) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let widths: Vec<_> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(Cell::width).max().unwrap_or_default()
            })
            .collect();
        let line = |row: &Vec<Cell>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| cell.aligned(*width, colours));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }

    pub(super) fn show(&self, output: &mut Output) -> Result<(), Failure> {
        let lines = self.lines(colours()).join("\n");
        output.line(&lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", ">LOST"]);
        table.add(vec![Cell::text("Küche"), losses(0)]);
        table.add(vec![Cell::text("漢字"), losses(1234567)]);
        table
    }

    #[test]
    fn columns_stand_below_their_heads() {
        let expected = ["NAME      LOST", "Küche        0", "漢字   1234567"];
        assert_eq!(table().lines(false), expected);
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let lines = table().lines(true);
        assert_eq!(lines[0], "\x1b[1mNAME\x1b[0m      \x1b[1mLOST\x1b[0m");
        assert_eq!(lines[2], "漢字   \x1b[31m1234567\x1b[0m");
    }
}
