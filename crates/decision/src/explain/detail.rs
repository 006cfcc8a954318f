//! The sentence of a check.

use alloc::string::String;
use core::fmt::{self, Write as _};

/// Longest detail. Bytes.
const DETAIL_BYTES_MAX: usize = 512;

/// What stands where a detail was cut.
const CUT: &str = " ...";

/// Writes a detail. Lists in it may be long: what is beyond the bound is cut off.
pub(super) fn detail(text: fmt::Arguments<'_>) -> String {
    let mut bounded = Bounded(String::new());
    if bounded.write_fmt(text).is_err() {
        bounded.0.push_str(CUT);
    }
    bounded.0
}

/// Takes what fits, then refuses.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = DETAIL_BYTES_MAX - CUT.len() - self.0.len();
        let fitting = &text[..text.floor_char_boundary(room)];
        self.0.push_str(fitting);
        if fitting.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Values with commas between them.
pub(super) struct Listed<I>(pub(super) I);

impl<I: Iterator<Item = impl fmt::Display> + Clone> fmt::Display for Listed<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, value) in self.0.clone().enumerate() {
            f.write_str(if at > 0 { ", " } else { "" })?;
            value.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_that_is_too_long_is_cut_between_characters() {
        for length in 0..DETAIL_BYTES_MAX {
            let text = "é".repeat(length);
            let written = detail(format_args!("x{}", Listed([&text].into_iter())));
            assert!(written.len() <= DETAIL_BYTES_MAX);
            assert_eq!(written.ends_with(CUT), text.len() + 1 > DETAIL_BYTES_MAX - CUT.len());
        }
    }

    #[test]
    fn a_list_has_commas_between_its_values() {
        assert_eq!(detail(format_args!("{}.", Listed([1, 2, 3].iter()))), "1, 2, 3.");
        assert_eq!(detail(format_args!("{}.", Listed([0; 0].iter()))), ".");
    }
}
