use super::*;
use latchkey_domain::{DurationMillis, UnixMillis};
use proptest::prelude::*;

const STATES: &[&str] = &["ACTIVE", "SUSPENDED"];
const FIELDS: &[Field] = &[
    Field { name: "owner", kind: Kind::Text },
    Field { name: "state", kind: Kind::Word(STATES) },
    Field { name: "create_time", kind: Kind::Time },
    Field { name: "display_name", kind: Kind::TextOrPrefix },
    Field { name: "age", kind: Kind::Span },
];

fn parsed(text: &str) -> Filter {
    Filter::parse(text, FIELDS).expect(text)
}

fn refused(text: &str) -> (usize, FilterRule) {
    let error = Filter::parse(text, FIELDS).expect_err(text);
    (error.position, error.rule)
}

fn only(text: &str) -> Value {
    parsed(text).comparisons()[0].value.clone()
}

#[test]
fn what_is_no_filter_is_refused_where_it_breaks() {
    use FilterRule::*;
    let field = FieldExpected { fields: FIELDS };
    for (text, position, rule) in [
        ("AND", 0, field),
        ("=", 0, field),
        ("\"owner\" = a", 0, field),
        ("(owner = a)", 0, field),
        ("NOT owner = a", 0, field),
        ("-owner = a", 0, field),
        ("Owner = a", 0, field),
        ("secret = a", 0, field),
        ("owner:a", 0, field),
        ("owner = a AND", 13, field),
        ("owner = a AND AND", 14, field),
        ("owner", 5, OperatorExpected),
        ("owner ! a", 6, OperatorExpected),
        ("owner a", 6, OperatorExpected),
        ("owner < a", 6, Unordered),
        ("state >= ACTIVE", 6, Unordered),
        ("display_name > a", 13, Unordered),
        ("owner =", 7, ValueExpected),
        ("owner = = a", 8, ValueExpected),
        ("owner == a", 7, ValueExpected),
        ("owner = (a)", 8, ValueExpected),
        ("owner = \"a", 8, QuoteUnclosed),
        ("owner = \"a\\\"", 8, QuoteUnclosed),
        ("owner = \"a'", 8, QuoteUnclosed),
        ("owner = \"\\n\"", 8, Escape),
        ("display_name = \"a*b\"", 15, StarWithin),
        ("display_name = *b", 15, StarWithin),
        ("owner = \"a*\"", 8, PrefixUnknown),
        ("state = active", 8, WordExpected { words: STATES }),
        ("state = ACT*", 8, WordExpected { words: STATES }),
        ("create_time < yesterday", 14, TimeExpected),
        ("age > 90", 6, SpanExpected),
        ("age > 90 d", 6, SpanExpected),
        ("owner = a OR owner = b", 10, AndExpected),
        ("owner = a and owner = b", 10, AndExpected),
        ("owner = a owner = b", 10, AndExpected),
        ("owner = a b", 10, AndExpected),
        ("owner = a)", 9, AndExpected),
        ("owner = a AND \"", 14, QuoteUnclosed),
        ("\u{a0}owner = a", 0, field),
    ] {
        assert_eq!(refused(text), (position, rule), "{text:?}");
    }
}

#[test]
fn bounds_on_bytes_and_comparisons_are_exact() {
    let comparisons = |count: usize| vec!["age > 1d"; count].join(" AND ");
    assert_eq!(parsed(&comparisons(16)).comparisons().len(), 16);
    assert_eq!(refused(&comparisons(17)), (208, FilterRule::Comparisons));
    assert!(Filter::parse(&format!("age > 1d{}", " ".repeat(1_016)), FIELDS).is_ok());
    assert_eq!(refused(&format!("age > 1d{}", " ".repeat(1_017))), (1_024, FilterRule::Length));
}

#[test]
fn an_error_says_what_is_expected_and_never_what_stands_there() {
    let error = Filter::parse("acme_live_secret = x", FIELDS).unwrap_err().to_string();
    assert_eq!(error, "at byte 0: expected a field: `owner`, `state`, `create_time`, `display_name`, `age`");
    let error = Filter::parse("state = acme_live_secret", FIELDS).unwrap_err().to_string();
    assert_eq!(error, "at byte 8: expected one of `ACTIVE`, `SUSPENDED`");
}

#[test]
fn an_empty_filter_holds_for_everything() {
    assert_eq!(parsed(""), Filter::default());
    assert_eq!(parsed(" \t\r\n"), Filter::default());
}

#[test]
fn every_kind_of_comparison_is_read() {
    let filter = parsed(
        r#"owner="tenants/a/owners/b"AND state != ACTIVE AND create_time<'2026-01-01T00:00:00Z' AND display_name = "backup*" AND age>=90d"#,
    );
    let expected = [
        ("owner", Operator::Equal, Value::Text("tenants/a/owners/b".into())),
        ("state", Operator::NotEqual, Value::Word("ACTIVE")),
        ("create_time", Operator::Less, Value::Time(UnixMillis::new(1_767_225_600_000))),
        ("display_name", Operator::Equal, Value::Prefix("backup".into())),
        ("age", Operator::GreaterOrEqual, Value::Span(DurationMillis::from_days(90))),
    ];
    let found: Vec<_> = filter.comparisons().iter().map(|one| (one.field, one.operator, one.value.clone())).collect();
    assert_eq!(found, expected);
}

#[test]
fn quotes_and_stars_can_be_meant_as_such() {
    assert_eq!(only(r#"owner = "a \"b\" \\ \* 'c'""#), Value::Text("a \"b\" \\ * 'c'".into()));
    assert_eq!(only("owner = 'AND'"), Value::Text("AND".into()));
    assert_eq!(only(r#"display_name = "a\*""#), Value::Text("a*".into()));
    assert_eq!(only(r#"display_name = "a\**""#), Value::Prefix("a*".into()));
    assert_eq!(only("display_name = *"), Value::Prefix(String::new()));
    assert_eq!(only(r"owner = a\b"), Value::Text(r"a\b".into()), "bare texts hold no escapes");
    assert_eq!(only("owner = ''"), Value::Text(String::new()));
}

#[test]
fn times_are_read_in_every_form_of_rfc_3339() {
    let time = |text: &str| match only(&format!("create_time = {text}")) {
        Value::Time(time) => time.millis(),
        other => panic!("{other:?}"),
    };
    for (text, millis) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:00:00.001-01:00", 1),
        ("2000-02-29T12:00:00Z", 951_825_600_000),
        ("2026-01-01T02:00:00.5+02:00", 1_767_225_600_500),
        ("2026-01-01T00:00:00.123999999Z", 1_767_225_600_123),
        ("2026-01-01T00:00:00-00:00", 1_767_225_600_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ] {
        assert_eq!(time(text), millis, "{text}");
    }
    for text in [
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00Z",
        "'2026-01-01 00:00:00Z'",
        "2026-1-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00Zx",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00+00:01",
        "+026-01-01T00:00:00Z",
        "２026-01-01T00:00:00Z",
    ] {
        assert_eq!(refused(&format!("create_time = {text}")), (14, FilterRule::TimeExpected), "{text}");
    }
}

#[test]
fn spans_are_read_in_every_unit_and_never_wrap() {
    for (text, millis) in [
        ("0s", 0),
        ("7ms", 7),
        ("7s", 7_000),
        ("7m", 420_000),
        ("7h", 25_200_000),
        ("7d", 604_800_000),
        ("1w", 604_800_000),
    ] {
        assert_eq!(only(&format!("age = {text}")), Value::Span(DurationMillis::new(millis)), "{text}");
    }
    for text in ["d", "7", "7D", "7days", "-7d", "1.5d", "1d12h", "18446744073709551616s", "18446744073709551615d"] {
        assert_eq!(refused(&format!("age = {text}")), (6, FilterRule::SpanExpected), "{text}");
    }
}

#[test]
fn comparisons_answer_for_texts_times_and_spans() {
    let one = |text: &str| parsed(text).comparisons()[0].clone();
    assert!(one("owner = a").holds_for_text("a") && !one("owner = a").holds_for_text("ab"));
    assert!(one("owner != a").holds_for_text("ab") && !one("owner != a").holds_for_text("a"));
    assert!(one("state = ACTIVE").holds_for_text("ACTIVE") && !one("state = ACTIVE").holds_for_text("SUSPENDED"));
    assert!(one("display_name = ab*").holds_for_text("abc") && !one("display_name = ab*").holds_for_text("a"));
    assert!(!one("display_name != ab*").holds_for_text("ab"));
    let (earlier, at, later) = (UnixMillis::new(999), UnixMillis::new(1_000), UnixMillis::new(1_001));
    for (operator, expected) in [
        ("=", [false, true, false]),
        ("!=", [true, false, true]),
        ("<", [true, false, false]),
        ("<=", [true, true, false]),
        (">", [false, false, true]),
        (">=", [false, true, true]),
    ] {
        let time = one(&format!("create_time {operator} 1970-01-01T00:00:01Z"));
        assert_eq!([earlier, at, later].map(|at| time.holds_for_time(at)), expected, "{operator}");
        let span = one(&format!("age {operator} 1s"));
        assert_eq!([999, 1_000, 1_001].map(|at| span.holds_for_span(DurationMillis::new(at))), expected, "{operator}");
    }
    assert!(!one("age > 1s").holds_for_text("2s") && !one("owner = a").holds_for_time(at));
    assert!(!one("owner != a").holds_for_span(DurationMillis::new(1)));
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let equality = prop_oneof![Just(Operator::Equal), Just(Operator::NotEqual)];
    let order = prop_oneof![
        equality.clone(),
        Just(Operator::Less),
        Just(Operator::LessOrEqual),
        Just(Operator::Greater),
        Just(Operator::GreaterOrEqual)
    ];
    let text = || any::<String>().prop_map(|text| text.chars().take(20).collect::<String>());
    let millis = 0..=253_402_300_799_999_u64;
    let comparison = prop_oneof![
        (equality.clone(), text()).prop_map(|(operator, text)| ("owner", operator, Value::Text(text))),
        (equality.clone(), text()).prop_map(|(operator, text)| ("display_name", operator, Value::Prefix(text))),
        (equality, 0..2_usize).prop_map(|(operator, index)| ("state", operator, Value::Word(STATES[index]))),
        (order.clone(), millis).prop_map(|(operator, millis)| (
            "create_time",
            operator,
            Value::Time(UnixMillis::new(millis))
        )),
        (order, 0..=1_u64 << 53).prop_map(|(operator, millis)| (
            "age",
            operator,
            Value::Span(DurationMillis::new(millis))
        )),
    ];
    let comparison = comparison.prop_map(|(field, operator, value)| Comparison { field, operator, value });
    prop::collection::vec(comparison, 0..6).prop_map(|comparisons| Filter { comparisons })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_filter_that_is_printed_reads_as_itself(filter in any_filter()) {
        let text = filter.to_string();
        if text.len() <= FILTER_BYTES_MAX {
            prop_assert_eq!(Filter::parse(&text, FIELDS).unwrap(), filter, "{}", text);
        }
    }

    #[test]
    fn every_day_is_written_and_read_alike(millis in 0..=253_402_300_799_999_u64) {
        let filter = Filter {
            comparisons: vec![Comparison {
                field: "create_time",
                operator: Operator::Equal,
                value: Value::Time(UnixMillis::new(millis)),
            }],
        };
        prop_assert_eq!(parsed(&filter.to_string()), filter);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50_000))]

    #[test]
    fn no_text_of_any_kind_panics(text in any::<String>()) {
        if let Err(error) = Filter::parse(&text, FIELDS) {
            prop_assert!(error.position <= text.len());
        }
    }

    #[test]
    fn no_text_of_filter_words_panics(words in prop::collection::vec(
        prop::sample::select(vec![
            "owner", "state", "create_time", "display_name", "age", " ", "=", "!=", "<", "<=", ">", ">=", "!", "\"", "'", "\\", "*",
            " AND ", "(", ")", "ACTIVE", "90d", "2026-01-01T00:00:00Z", "2026-01-01", "é", "\u{a0}", ":", "-", "T", "+02:00",
        ]),
        0..14,
    )) {
        let text = words.concat();
        match Filter::parse(&text, FIELDS) {
            Ok(filter) => prop_assert_eq!(parsed(&filter.to_string()), filter),
            Err(error) => prop_assert!(error.position <= text.len()),
        }
    }
}
