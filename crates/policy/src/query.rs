//! Permission queries: `orders:read and (orders:write or admin)`.
//!
//! Grammar: `expression = conjunction ("or" conjunction)*`, `conjunction = operand ("and" operand)*`,
//! `operand = word | "(" expression ")"`, where a word is a permission without wildcard, other than `and` and `or`. Space is ASCII
//! white space, needed only between words. At most 1,024 bytes, 64 words and parentheses 8 deep.
//!
//! A query comes with each request. It borrows the request's text and becomes one list of steps in postfix order: reading it takes one
//! allocation and no recursion, and answering it none.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use latchkey_domain::{GrammarError, PermissionError, PermissionRef, PermissionRule, PermissionSet};

use crate::token::{Token, Tokens};

/// Longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 1_024;
/// Most words of a query.
pub const QUERY_WORDS_MAX: usize = 64;
/// Deepest nesting of parentheses.
pub const QUERY_DEPTH_MAX: usize = 8;

/// What may wait at once: at each depth one `or` and one `and` (see [`Reader::operator`]), and the parentheses themselves.
const WAITING_MAX: usize = 2 * (QUERY_DEPTH_MAX + 1) + QUERY_DEPTH_MAX;

/// Steps that are given room at once; nearly every query has fewer.
const STEPS_USUAL: usize = 8;

// One bit for each value that waits for its operator: `satisfied_by` keeps them in a `u64`.
const _: () = assert!(QUERY_WORDS_MAX <= 64);

/// A boolean expression over permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    steps: Vec<Step<'a>>,
}

/// A text is no query.
pub type QueryError = GrammarError<QueryRule>;

/// The rules of the query grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryRule {
    /// At most [`QUERY_BYTES_MAX`] bytes.
    Length,
    /// At most [`QUERY_WORDS_MAX`] words.
    Words,
    /// Parentheses at most [`QUERY_DEPTH_MAX`] deep.
    Depth,
    /// Here a permission or `(` must stand.
    OperandExpected,
    /// Here `and`, `or`, `)` or the end must stand.
    OperatorExpected,
    /// A `)` without its `(`.
    ParenthesisUnopened,
    /// A `(` without its `)`.
    ParenthesisUnclosed,
    /// A word is no permission.
    Permission(PermissionRule),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step<'a> {
    /// Pushes whether the permission is granted.
    Word(PermissionRef<'a>),
    /// Joins the last two values.
    Join(Operator),
}

/// In the order in which they bind: `or` weaker than `and`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operator {
    Or,
    And,
}

impl<'a> Query<'a> {
    /// Reads a query.
    ///
    /// # Errors
    /// [`QueryError`] tells the byte where the text breaks the grammar, which for an empty text is its end.
    pub fn parse(text: &'a str) -> Result<Self, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(QueryError::new(QUERY_BYTES_MAX, QueryRule::Length));
        }
        let mut reader = Reader::new();
        for (position, token) in Tokens::new(text) {
            match (token, reader.operand_expected) {
                (Token::Word(word), true) => reader.word(position, word)?,
                (Token::Open, true) => reader.open(position)?,
                (Token::And, false) => reader.operator(Operator::And),
                (Token::Or, false) => reader.operator(Operator::Or),
                (Token::Close, false) => reader.close(position)?,
                (_, true) => return Err(QueryError::new(position, QueryRule::OperandExpected)),
                (_, false) => return Err(QueryError::new(position, QueryRule::OperatorExpected)),
            }
        }
        reader.finish(text.len())
    }

    /// Whether `permissions` satisfy the query.
    pub fn satisfied_by(&self, permissions: &PermissionSet) -> bool {
        self.satisfied_where(|word| permissions.grants(word))
    }

    /// Whether the query holds where `permits` says of each word whether it does. Each word is asked about once, in the
    /// order of the text: over a key may stand its roles, a restriction and a parent key, and what all of them permit
    /// together is no set that anybody has to build.
    pub fn satisfied_where(&self, mut permits: impl FnMut(PermissionRef<'a>) -> bool) -> bool {
        let mut values = 0u64;
        for step in &self.steps {
            values = match step {
                Step::Word(word) => values << 1 | u64::from(permits(*word)),
                Step::Join(operator) => {
                    let (left, right) = (values >> 1, values & 1);
                    match operator {
                        Operator::And => left & (right | !1),
                        Operator::Or => left | right,
                    }
                }
            };
        }
        values & 1 == 1
    }

    /// The permissions that the query asks about, in the order of its text.
    pub fn words(&self) -> impl Iterator<Item = PermissionRef<'a>> {
        self.steps.iter().filter_map(|step| match step {
            Step::Word(word) => Some(*word),
            Step::Join(_) => None,
        })
    }
}

/// Turns tokens into steps: words at once, operators when nothing that binds tighter can follow.
/// Source: E. W. Dijkstra, Algol 60 translation, Mathematisch Centrum 1961 ("shunting yard").
struct Reader<'a> {
    steps: Vec<Step<'a>>,
    waiting: [Waiting; WAITING_MAX],
    waiting_count: usize,
    words: usize,
    depth: usize,
    operand_expected: bool,
}

#[derive(Clone, Copy)]
enum Waiting {
    Operator(Operator),
    /// An open parenthesis, and where it stands.
    Open(usize),
}

impl<'a> Reader<'a> {
    fn new() -> Self {
        Self {
            steps: Vec::with_capacity(STEPS_USUAL),
            waiting: [Waiting::Open(0); WAITING_MAX],
            waiting_count: 0,
            words: 0,
            depth: 0,
            operand_expected: true,
        }
    }

    fn word(&mut self, position: usize, word: &'a str) -> Result<(), QueryError> {
        if self.words == QUERY_WORDS_MAX {
            return Err(QueryError::new(position, QueryRule::Words));
        }
        let permission = PermissionRef::parse(word).map_err(|error: PermissionError| {
            QueryError::new(position + error.position, QueryRule::Permission(error.rule))
        })?;
        self.words += 1;
        self.operand_expected = false;
        self.steps.push(Step::Word(permission));
        Ok(())
    }

    fn open(&mut self, position: usize) -> Result<(), QueryError> {
        if self.depth == QUERY_DEPTH_MAX {
            return Err(QueryError::new(position, QueryRule::Depth));
        }
        self.depth += 1;
        self.wait(Waiting::Open(position));
        Ok(())
    }

    /// Whatever binds at least as tightly is complete. So below a waiting operator there is only a weaker one or a parenthesis.
    fn operator(&mut self, operator: Operator) {
        while let Some(Waiting::Operator(waiting)) = self.last_waiting()
            && waiting >= operator
        {
            self.steps.push(Step::Join(waiting));
            self.waiting_count -= 1;
        }
        self.wait(Waiting::Operator(operator));
        self.operand_expected = true;
    }

    fn close(&mut self, position: usize) -> Result<(), QueryError> {
        match self.join_to_parenthesis() {
            Some(_) => {
                self.waiting_count -= 1;
                self.depth -= 1;
                Ok(())
            }
            None => Err(QueryError::new(position, QueryRule::ParenthesisUnopened)),
        }
    }

    fn finish(mut self, end: usize) -> Result<Query<'a>, QueryError> {
        if self.operand_expected {
            return Err(QueryError::new(end, QueryRule::OperandExpected));
        }
        match self.join_to_parenthesis() {
            Some(position) => Err(QueryError::new(position, QueryRule::ParenthesisUnclosed)),
            None => Ok(Query { steps: self.steps }),
        }
    }

    /// Completes the operators after the last open parenthesis and tells where that stands.
    fn join_to_parenthesis(&mut self) -> Option<usize> {
        loop {
            match self.last_waiting()? {
                Waiting::Open(position) => return Some(position),
                Waiting::Operator(operator) => {
                    self.steps.push(Step::Join(operator));
                    self.waiting_count -= 1;
                }
            }
        }
    }

    fn last_waiting(&self) -> Option<Waiting> {
        self.waiting[..self.waiting_count].last().copied()
    }

    fn wait(&mut self, waiting: Waiting) {
        self.waiting[self.waiting_count] = waiting;
        self.waiting_count += 1;
    }
}

/// The same query with no more parentheses than it needs; reading it again gives an equal one.
impl fmt::Display for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut operands: Vec<(String, Option<Operator>)> = Vec::new();
        for step in &self.steps {
            let operand = match step {
                Step::Word(word) => (word.as_str().into(), None),
                Step::Join(operator) => {
                    let right = operands.pop().expect("postfix order: both operands come before their operator");
                    let left = operands.pop().expect("postfix order: both operands come before their operator");
                    (joined(left, *operator, right), Some(*operator))
                }
            };
            operands.push(operand);
        }
        operands.iter().try_for_each(|(text, _)| f.write_str(text))
    }
}

/// Operators of one kind are read from the left, so only on the right does the same operator need parentheses.
fn joined(
    (left, left_operator): (String, Option<Operator>),
    operator: Operator,
    (right, right_operator): (String, Option<Operator>),
) -> String {
    let left = parenthesised(left, left_operator.is_some_and(|inner| inner < operator));
    let right = parenthesised(right, right_operator.is_some_and(|inner| inner <= operator));
    match operator {
        Operator::And => left + " and " + &right,
        Operator::Or => left + " or " + &right,
    }
}

fn parenthesised(text: String, needed: bool) -> String {
    if needed { alloc::format!("({text})") } else { text }
}

impl fmt::Display for QueryRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "a query has at most {QUERY_BYTES_MAX} bytes"),
            Self::Words => write!(f, "a query has at most {QUERY_WORDS_MAX} permissions"),
            Self::Depth => write!(f, "parentheses are at most {QUERY_DEPTH_MAX} deep"),
            Self::OperandExpected => f.write_str("expected a permission or `(`"),
            Self::OperatorExpected => f.write_str("expected `and`, `or`, `)` or the end"),
            Self::ParenthesisUnopened => f.write_str("`)` without its `(`"),
            Self::ParenthesisUnclosed => f.write_str("`(` without its `)`"),
            Self::Permission(rule) => fmt::Display::fmt(rule, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::permissions;

    fn refused(text: &str) -> (usize, QueryRule) {
        let error = Query::parse(text).expect_err(text);
        (error.position, error.rule)
    }

    fn satisfied(text: &str, granted: &[&str]) -> bool {
        Query::parse(text).unwrap().satisfied_by(&permissions(granted))
    }

    #[test]
    fn what_is_no_query_is_refused_where_it_breaks() {
        use PermissionRule::{Character, SegmentEmpty, Wildcard};
        for (text, position, rule) in [
            ("", 0, QueryRule::OperandExpected),
            ("  ", 2, QueryRule::OperandExpected),
            ("and", 0, QueryRule::OperandExpected),
            ("a and", 5, QueryRule::OperandExpected),
            ("or a", 0, QueryRule::OperandExpected),
            ("a and or b", 6, QueryRule::OperandExpected),
            ("a and and b", 6, QueryRule::OperandExpected),
            ("()", 1, QueryRule::OperandExpected),
            ("a or ()", 6, QueryRule::OperandExpected),
            ("(", 1, QueryRule::OperandExpected),
            (")", 0, QueryRule::OperandExpected),
            ("a b", 2, QueryRule::OperatorExpected),
            ("a AND b", 2, QueryRule::OperatorExpected),
            ("a (b)", 2, QueryRule::OperatorExpected),
            ("(a)b", 3, QueryRule::OperatorExpected),
            ("(a)(b)", 3, QueryRule::OperatorExpected),
            ("a)", 1, QueryRule::ParenthesisUnopened),
            ("(a))", 3, QueryRule::ParenthesisUnopened),
            ("(a", 0, QueryRule::ParenthesisUnclosed),
            ("a and ((b or c)", 6, QueryRule::ParenthesisUnclosed),
            ("orders:*", 7, QueryRule::Permission(Wildcard)),
            ("a and *", 6, QueryRule::Permission(Wildcard)),
            ("a&&b", 1, QueryRule::Permission(Character)),
            ("not!", 3, QueryRule::Permission(Character)),
            ("a or é", 5, QueryRule::Permission(Character)),
            ("a\u{a0}or b", 1, QueryRule::Permission(Character)),
            ("a::b", 2, QueryRule::Permission(SegmentEmpty)),
        ] {
            assert_eq!(refused(text), (position, rule), "{text:?}");
        }
    }

    #[test]
    fn bounds_on_bytes_words_and_depth_are_exact() {
        let words = |count: usize| vec!["a"; count].join(" or ");
        assert!(Query::parse(&words(64)).is_ok());
        assert_eq!(refused(&words(65)), (320, QueryRule::Words));

        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Query::parse(&nested(8)).is_ok());
        assert_eq!(refused(&nested(9)), (8, QueryRule::Depth));
        assert!(Query::parse(&vec![nested(8); 48].join(" or ")).is_ok());

        assert!(Query::parse(&format!("a{}", " ".repeat(1_023))).is_ok());
        assert_eq!(refused(&format!("a{}", " ".repeat(1_024))), (1_024, QueryRule::Length));
    }

    #[test]
    fn as_much_as_can_wait_at_once_finds_room() {
        let text = format!("{}a or b and c{}", "a or b and (".repeat(8), ")".repeat(8));
        assert!(Query::parse(&text).unwrap().satisfied_by(&permissions(&["a"])));
    }

    #[test]
    fn a_query_is_refused_to_whom_lacks_a_permission() {
        for (text, granted) in [
            ("a", &[][..]),
            ("a and b", &["a"]),
            ("a and b", &["b"]),
            ("a or b", &["c"]),
            ("(a or b) and c", &["a", "b"]),
            ("a or b and c", &["b"]),
            ("b and c or a", &["c"]),
            ("a and b or c and d", &["a", "d"]),
            ("a:b", &["a"]),
            ("a", &["a:*"]),
        ] {
            assert!(!satisfied(text, granted), "{text:?} {granted:?}");
        }
    }

    #[test]
    fn each_word_is_asked_about_once_and_in_order() {
        let mut asked = Vec::new();
        let query = Query::parse("(b or a) and b").unwrap();
        assert!(query.satisfied_where(|word| {
            asked.push(word.as_str());
            word.as_str() == "b"
        }));
        assert_eq!(asked, ["b", "a", "b"]);
    }

    #[test]
    fn words_that_two_layers_permit_apart_do_not_add_up() {
        let (own, parent) = (permissions(&["a", "b"]), permissions(&["b", "c"]));
        let both = |text: &str| {
            let query = Query::parse(text).unwrap();
            query.satisfied_where(|word| own.grants(word) && parent.grants(word))
        };
        assert!(!both("a") && !both("c") && !both("a and b") && !both("a or c"));
        assert!(both("b") && both("a or b"));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        assert!(satisfied("a or b and c", &["a"]));
        assert!(satisfied("b and c or a", &["a"]));
        assert!(!satisfied("(a or b) and c", &["a"]));
        assert!(satisfied("a and b or c and d", &["c", "d"]));
    }

    #[test]
    fn wildcards_of_the_key_satisfy_words_of_the_query() {
        assert!(satisfied("orders:read and (billing:write or admin)", &["orders:*", "admin"]));
        assert!(satisfied("orders:read:own", &["*"]));
    }

    #[test]
    fn words_that_only_begin_like_operators_are_permissions() {
        assert!(satisfied("android and order and AND and and-1", &["*"]));
    }

    #[test]
    fn space_is_needed_only_between_words() {
        assert!(satisfied("\t(a)and(b)\r\n or\nc ", &["a", "b"]));
    }

    #[test]
    fn a_query_prints_with_no_more_parentheses_than_it_needs() {
        for (text, printed) in [
            ("((a))", "a"),
            ("a or (b and c)", "a or b and c"),
            ("(a or b)and(c)", "(a or b) and c"),
            ("(a and b) and c", "a and b and c"),
            ("a and (b and c)", "a and (b and c)"),
        ] {
            assert_eq!(Query::parse(text).unwrap().to_string(), printed);
        }
    }
}
