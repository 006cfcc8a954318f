//! Rows below headings, as wide as the terminal at most.

use super::colour;
use super::view::{NOTHING, Shape, View};
use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};
use latchkey_domain::UnixMillis;
use serde_json::Value;

/// Widest where nobody looks: a file or a pipe wants whole lines.
const WIDTH_UNBOUNDED: u16 = 2_000;

/// Of a column whose rows are still to come: moments and actions fit, and the names of most keys.
const COLUMN_WIDTH: usize = 24;
const NAME_WIDTH: usize = 32;
const NUMBER_WIDTH: usize = 8;

/// A text that wraps keeps at least this width, so that words stay whole.
const WRAPPED_WIDTH_MIN: usize = 14;

/// Between two columns.
const COLUMN_GAP: usize = 2;

/// What a table has to know of its reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Whether words have colour.
    pub(crate) colour: bool,
    /// The columns of the terminal; `None` where it is none.
    pub(crate) width: Option<u16>,
    /// What ages are counted from.
    pub(crate) now: UnixMillis,
}

impl Look {
    /// An empty table with this look.
    pub(super) fn table(self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(self.width.unwrap_or(WIDTH_UNBOUNDED));
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }
}

/// All rows; where there is none, the words that the view has for it.
pub(super) fn text(view: &View, items: &[Value], look: Look) -> String {
    if items.is_empty() {
        return format!("{}\n", view.none);
    }
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| view.columns.iter().map(|column| column.cell(item, look.now)).collect()).collect();
    let shown = fitting(view, &rows, usize::from(look.width.unwrap_or(WIDTH_UNBOUNDED)));
    let mut table = look.table();
    table.set_header(shown.iter().map(|index| view.columns[*index].header));
    for row in &rows {
        table.add_row(shown.iter().map(|index| cell(view.columns[*index].shape, &row[*index])).collect::<Vec<_>>());
    }
    for (index, column) in shown.iter().zip(table.column_iter_mut()) {
        let natural = natural_width(view, &rows, *index);
        column.set_constraint(if view.columns[*index].shape.may_wrap() {
            let least = natural.min(WRAPPED_WIDTH_MIN);
            ColumnConstraint::LowerBoundary(Width::Fixed(u16::try_from(least).unwrap_or(u16::MAX)))
        } else {
            ColumnConstraint::ContentWidth
        });
    }
    finished(&mut table)
}

/// Which columns are shown: all where they fit; else without those that say nothing in any row, and then without the last,
/// until names, words and times stand unbroken and texts have room to wrap.
fn fitting(view: &View, rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let least = |index: &usize| {
        let natural = natural_width(view, rows, *index);
        COLUMN_GAP + if view.columns[*index].shape.may_wrap() { natural.min(WRAPPED_WIDTH_MIN) } else { natural }
    };
    let natural =
        |shown: &[usize]| -> usize { shown.iter().map(|index| COLUMN_GAP + natural_width(view, rows, *index)).sum() };
    let mut shown: Vec<usize> = (0..view.columns.len()).collect();
    if natural(&shown) > width {
        shown.retain(|index| *index == 0 || rows.iter().any(|row| row[*index] != NOTHING));
    }
    while shown.len() > 1 && shown.iter().map(least).sum::<usize>() > width {
        shown.pop();
    }
    shown
}

fn natural_width(view: &View, rows: &[Vec<String>], index: usize) -> usize {
    let cells = rows.iter().map(|row| row[index].chars().count());
    cells.chain([view.columns[index].header.chars().count()]).max().unwrap_or_default()
}

/// One row by itself: columns keep a width, since nobody knows the rows to come.
pub(super) fn line(view: &View, item: &Value, first: bool, look: Look) -> String {
    let row = |cells: Vec<String>| {
        let last = cells.len().saturating_sub(1);
        let padded = cells.iter().enumerate().map(|(index, cell)| {
            let column = &view.columns[index];
            let width = column.header.len().max(match column.shape {
                Shape::Name => NAME_WIDTH,
                Shape::Number => NUMBER_WIDTH,
                _ => COLUMN_WIDTH,
            });
            if index == last { cell.clone() } else { format!("{cell:<width$}") }
        });
        padded.collect::<Vec<_>>().join("  ") + "\n"
    };
    let mut text = String::new();
    if first {
        text += &row(view.columns.iter().map(|column| column.header.to_owned()).collect());
    }
    text + &row(view.columns.iter().map(|column| column.cell(item, look.now)).collect())
}

fn cell(shape: Shape, text: &str) -> Cell {
    let colour = if shape == Shape::Word { colour::of(text) } else { None };
    match colour {
        Some(colour) => Cell::new(text).fg(colour),
        None => Cell::new(text),
    }
}

/// Without the padding around it, two spaces between columns.
pub(super) fn finished(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::output::Column;
    use serde_json::json;

    const VIEW: View = View {
        columns: &[
            Column::new("KEY", "name", Shape::Name),
            Column::new("STATE", "state", Shape::Word),
            Column::new("CREATED", "createTime", Shape::Age),
        ],
        none: "no keys",
    };

    pub(crate) const fn look(width: Option<u16>, colour: bool) -> Look {
        Look { colour, width, now: UnixMillis::new(1_700_000_120_000) }
    }

    fn rows() -> Vec<Value> {
        let row = |id: u8, state: &str| {
            json!({"name": format!("tenants/acme/keyspaces/orders/keys/000000000000000{id}"), "state": state,
                   "createTime": "2023-11-14T22:13:20Z"})
        };
        vec![row(1, "ACTIVE"), row(2, "REVOKED")]
    }

    #[test]
    fn a_table_is_as_wide_as_its_words() {
        let golden = "\
KEY                           STATE    CREATED
acme/orders/0000000000000001  ACTIVE   2m ago
acme/orders/0000000000000002  REVOKED  2m ago
";
        assert_eq!(text(&VIEW, &rows(), look(None, false)), golden);
        assert_eq!(text(&VIEW, &rows(), look(Some(80), false)), golden);
        assert_eq!(text(&VIEW, &[], look(None, false)), "no keys\n");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_name_is_broken() {
        for width in 30..60 {
            let narrow = text(&VIEW, &rows(), look(Some(width), false));
            assert!(narrow.lines().all(|line| line.len() <= usize::from(width)), "{width}\n{narrow}");
            assert!(narrow.contains("acme/orders/0000000000000002"), "{width}\n{narrow}");
        }
        let narrow = text(&VIEW, &rows(), look(Some(40), false));
        assert_eq!(narrow.lines().next(), Some("KEY                           STATE"));
    }

    #[test]
    fn what_says_nothing_goes_first() {
        const VIEW: View = View {
            columns: &[
                Column::new("KEY", "name", Shape::Name),
                Column::new("OWNER", "owner", Shape::Name),
                Column::new("WHY", "why", Shape::Plain),
            ],
            none: "",
        };
        let row =
            json!({"name": "tenants/acme/keyspaces/orders", "why": "words and more words that wrap where they must"});
        let golden = "\
KEY          WHY
acme/orders  words and more
             words that wrap
             where they must
";
        assert_eq!(text(&VIEW, std::slice::from_ref(&row), look(Some(30), false)), golden);
        assert!(text(&VIEW, &[row], look(None, false)).contains("OWNER"));
    }

    #[test]
    fn colour_is_there_only_where_it_is_wanted() {
        assert!(!text(&VIEW, &rows(), look(Some(80), false)).contains('\x1b'));
        assert!(text(&VIEW, &rows(), look(Some(80), true)).contains("\x1b["));
    }

    #[test]
    fn a_row_by_itself_has_its_heading_once() {
        let first = line(&VIEW, &rows()[0], true, look(None, false));
        let second = line(&VIEW, &rows()[1], false, look(None, false));
        assert_eq!((first.lines().count(), second.lines().count()), (2, 1));
        assert_eq!(first.lines().next().unwrap().find("STATE"), Some(34));
    }
}
