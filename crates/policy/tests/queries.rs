//! Properties of permission queries: against a tree that is evaluated as it is drawn, and against whatever anybody sends.

use std::fmt;

use latchkey_domain::{PermissionPattern, PermissionSet};
use latchkey_policy::{QUERY_BYTES_MAX, Query};
use proptest::prelude::*;

const WORDS: [&str; 6] = ["a", "b", "a:read", "a:read:own", "android", "b:or"];
const PATTERNS: [&str; 8] = ["a", "b", "a:*", "a:read", "a:read:*", "android", "b:*", "*"];

/// A query as a tree.
#[derive(Clone, Debug)]
enum Tree {
    Word(&'static str),
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
}

impl Tree {
    fn naively_satisfied(&self, granted: &[&str]) -> bool {
        match self {
            Self::Word(word) => granted.iter().any(|pattern| naive_grant(pattern, word)),
            Self::And(left, right) => left.naively_satisfied(granted) && right.naively_satisfied(granted),
            Self::Or(left, right) => left.naively_satisfied(granted) || right.naively_satisfied(granted),
        }
    }
}

fn naive_grant(pattern: &str, word: &str) -> bool {
    let pattern: Vec<&str> = pattern.split(':').collect();
    let word: Vec<&str> = word.split(':').collect();
    match pattern.split_last() {
        Some((&"*", above)) => word.len() > above.len() && word[..above.len()] == *above,
        _ => pattern == word,
    }
}

/// Parentheses around every operand that is no word, needed or not.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operand = |tree: &Self| match tree {
            Self::Word(word) => String::from(*word),
            tree => format!("({tree})"),
        };
        match self {
            Self::Word(word) => f.write_str(word),
            Self::And(left, right) => write!(f, "{} and {}", operand(left), operand(right)),
            Self::Or(left, right) => write!(f, "{} or {}", operand(left), operand(right)),
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    proptest::sample::select(&WORDS[..]).prop_map(Tree::Word).prop_recursive(7, 32, 2, |inner| {
        (inner.clone(), inner, any::<bool>()).prop_map(|(left, right, and)| match and {
            true => Tree::And(left.into(), right.into()),
            false => Tree::Or(left.into(), right.into()),
        })
    })
}

fn granted() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(&PATTERNS[..], 0..=3)
}

fn permissions(granted: &[&str]) -> PermissionSet {
    let patterns = granted.iter().map(|text| PermissionPattern::parse(text).expect("the literals are patterns"));
    PermissionSet::from_values(patterns).expect("the literals are few")
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn a_query_answers_as_its_tree_does(tree in trees(), granted in granted()) {
        let text = tree.to_string();
        let query = Query::parse(&text).unwrap();
        prop_assert_eq!(query.satisfied_by(&permissions(&granted)), tree.naively_satisfied(&granted));
    }

    #[test]
    fn a_query_reads_again_from_what_it_prints(tree in trees()) {
        let text = tree.to_string();
        let query = Query::parse(&text).unwrap();
        let printed = query.to_string();
        prop_assert!(printed.len() <= text.len());
        prop_assert_eq!(Query::parse(&printed).unwrap(), query);
    }

    #[test]
    fn without_parentheses_a_query_is_a_disjunction_of_conjunctions(
        conjunctions in proptest::collection::vec(proptest::collection::vec(proptest::sample::select(&WORDS[..]), 1..4), 1..6),
        granted in granted(),
    ) {
        let text = conjunctions.iter().map(|words| words.join(" and ")).collect::<Vec<_>>().join(" or ");
        let word = |word: &&str| granted.iter().any(|pattern| naive_grant(pattern, word));
        let expected = conjunctions.iter().any(|words| words.iter().all(word));
        prop_assert_eq!(Query::parse(&text).unwrap().satisfied_by(&permissions(&granted)), expected);
    }
}

proptest! {
    #![proptest_config(cases(100_000))]

    #[test]
    fn no_text_makes_the_parser_panic_and_an_error_points_into_the_text(
        pieces in proptest::collection::vec(
            prop_oneof![
                8 => proptest::sample::select(&["a", "a:read", " and ", " or ", "(", "(", ")", ")", " ", "*", ":"][..]).prop_map(String::from),
                1 => any::<char>().prop_map(String::from),
            ],
            0..40,
        ),
    ) {
        let text = pieces.concat();
        match Query::parse(&text) {
            Ok(query) => {
                prop_assert!(query.satisfied_by(&permissions(&["*"])), "every word is granted: {}", text);
                prop_assert!(!query.satisfied_by(&PermissionSet::default()), "no word is granted: {}", text);
                prop_assert!(query.words().count() >= 1);
            }
            Err(error) => prop_assert!(text.is_char_boundary(error.position)),
        }
    }
}

#[test]
fn the_worst_text_that_fits_is_read_without_recursion() {
    for piece in ["(", ")", "a", "a or ", "(a or ", "and", " ", "a and (", "*", ":", "é"] {
        let text = piece.repeat(QUERY_BYTES_MAX / piece.len());
        let error = Query::parse(&text).err();
        assert!(error.is_none_or(|error| error.position <= text.len()), "{piece:?}");
    }
}
