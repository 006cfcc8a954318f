//! CSV as RFC 4180 has it: commas, CRLF, quotation marks where they are needed.
//!
//! Programs that calculate take a cell that begins with `=`, `+`, `-` or `@` for a formula, and whoever may name a key could have
//! one computed on the machine of whoever reads the file. Such a cell gets an apostrophe before it, as OWASP's page on CSV
//! injection has it; a program that reads the file has to take it off.

/// What makes a formula of a cell, tab and return included, which are skipped before one.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// One record.
pub(crate) fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    cells.join(",") + "\r\n"
}

fn cell(text: &str) -> String {
    let harmless = if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() };
    let quoted = harmless.contains([',', '"', '\r', '\n']);
    if quoted { format!("\"{}\"", harmless.replace('"', "\"\"")) } else { harmless }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_for_a_formula_and_nothing_breaks_its_cell() {
        let cells = ["a", "", "a,b", "say \"x\"", "two\nlines", "=1+1", "+1", "-1", "@x", "\t=1", "a=b", "=a,b"];
        let text = "a,,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",'=1+1,'+1,'-1,'@x,'\t=1,a=b,\"'=a,b\"\r\n";
        assert_eq!(line(cells), text);
    }
}
