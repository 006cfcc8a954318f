//! Properties of the grammars: each parser against a naive reading of its rule, and against whatever anybody sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use latchkey_domain::{
    DisplayName, Environment, Metadata, Method, Network, NetworkError, Permission, PermissionPattern, PermissionRef,
    Prefix, Purpose, ReasonText, ResourcePath, ResourcePattern,
};
use proptest::prelude::*;

/// Cases of the tests that throw arbitrary text at a parser.
const FUZZ_CASES: u32 = 100_000;
/// Cases of the tests that compare with a naive reading.
const MODEL_CASES: u32 = 20_000;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Text made of pieces that mean something to some parser, so that most cases get past the first byte.
fn text_near(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        9 => proptest::sample::select(pieces).prop_map(String::from),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// All sequences of one to `longest` of these segments.
fn sequences(alphabet: &[&str], longest: usize) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut last: Vec<Vec<String>> = vec![Vec::new()];
    for _ in 0..longest {
        last = last
            .iter()
            .flat_map(|head| alphabet.iter().map(|segment| [head.as_slice(), &[String::from(*segment)]].concat()))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

fn is_segment(segment: &str) -> bool {
    (1..=64).contains(&segment.len())
        && segment.chars().all(|character| character.is_ascii_alphanumeric() || "_.-".contains(character))
}

proptest! {
    #![proptest_config(cases(FUZZ_CASES))]

    #[test]
    fn permissions_are_read_exactly_when_the_grammar_says(text in text_near(&["a", "Z9", "_.-", ":", ":", "*", " ", "é"])) {
        let segments: Vec<_> = text.split(':').collect();
        let word = text.len() <= 128 && segments.iter().all(|segment| is_segment(segment));
        let (last, above) = segments.split_last().unwrap();
        let wildcard = *last == "*" && above.iter().all(|segment| is_segment(segment));
        prop_assert_eq!(Permission::parse(&text).is_ok(), word);
        prop_assert_eq!(PermissionPattern::parse(&text).is_ok(), word || wildcard);
        for error in [Permission::parse(&text).err(), PermissionPattern::parse(&text).err()].into_iter().flatten() {
            prop_assert!(text.is_char_boundary(error.position));
        }
    }

    #[test]
    fn a_network_that_is_read_prints_as_itself(text in text_near(&["10", "0", ".", ".", ":", "::", "ffff", "/", "8", "32", "2001", "0.0.0.0", "::1"])) {
        match Network::parse(&text) {
            Ok(network) => prop_assert_eq!(Network::parse(&network.to_string()), Ok(network)),
            Err(NetworkError::HostBits { corrected }) => {
                prop_assert_eq!(Network::parse(&corrected.to_string()), Ok(corrected));
            }
            Err(_) => {}
        }
    }

    #[test]
    fn methods_are_read_exactly_when_the_grammar_says(text in text_near(&["GET", "POST", "-", "_", "*", "a", " ", "9", "/"])) {
        let token = |character: char| {
            character.is_ascii_uppercase() || character.is_ascii_digit() || "!#$%&'+-.^_`|~".contains(character)
        };
        let expected = (1..=16).contains(&text.len()) && text.chars().all(token);
        prop_assert_eq!(Method::parse(&text).is_ok_and(|method| method.as_str() == text), expected);
        prop_assert_eq!(Method::parse(&text).is_ok(), expected);
    }

    #[test]
    fn a_path_is_normalised_once_and_for_all(text in text_near(&["/", "/", "/a", "..", ".", "%2e", "%2F", "%5c", "%41", "%25", "%", ";", "\\", "é", "*", "**", "?", " ", "\0"])) {
        if let Ok(path) = ResourcePath::parse(&format!("/{text}")) {
            let normalised = path.as_str();
            prop_assert_eq!(ResourcePath::parse(normalised), Ok(path.clone()));
            prop_assert!(normalised.is_ascii() && normalised.starts_with('/'));
            prop_assert!(!normalised.contains("//"));
            prop_assert!(normalised.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!(!normalised.contains([';', '\\', '?', '#', ' ']));
            for refused in ["%2F", "%5C", "%3B", "%00", "%2E"] {
                prop_assert!(!normalised.contains(refused));
            }
        }
        match ResourcePattern::parse(&text) {
            Ok(pattern) => prop_assert_eq!(ResourcePattern::parse(pattern.as_str()), Ok(pattern.clone())),
            Err(error) => prop_assert!(text.is_char_boundary(error.position)),
        }
    }

    #[test]
    fn prefixes_and_environments_are_read_exactly_when_the_grammar_says(text in text_near(&["a", "live", "0", "_", "-", "A", "é"])) {
        let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
        let plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
        let prefix = begins && text.len() <= 16 && text.split('_').all(|part| !part.is_empty() && part.chars().all(plain));
        let environment = begins && text.len() <= 32 && text.chars().all(|character| plain(character) || character == '-');
        prop_assert_eq!(Prefix::parse(&text).is_ok(), prefix);
        prop_assert_eq!(Environment::parse(&text).is_ok(), environment);
    }

    #[test]
    fn no_text_or_pair_makes_a_parser_panic(key in text_near(&["a", "k-1", ".", "A", "é"]), value in any::<String>()) {
        let forges = |character: char| character.is_control() || "\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".contains(character);
        let clean = !value.chars().any(forges);
        prop_assert_eq!(DisplayName::parse(&value).is_ok(), clean && value.len() <= 128);
        prop_assert_eq!(Purpose::parse(&value).is_ok(), clean && value.len() <= 256);
        prop_assert_eq!(ReasonText::parse(&value).is_ok(), clean && value.len() <= 512);
        if let Ok(metadata) = Metadata::from_pairs([(&key, &value)]) {
            prop_assert!(clean);
            prop_assert_eq!(metadata.find(&key), Some(value.as_str()));
        }
    }
}

proptest! {
    #![proptest_config(cases(MODEL_CASES))]

    #[test]
    fn an_ipv4_network_holds_the_addresses_that_share_its_bits(bits in any::<u32>(), length in 0u8..=32, other in any::<u32>(), flipped in 0u32..32) {
        let corrected = corrected(IpAddr::V4(Ipv4Addr::from_bits(bits)), length);
        for client in [other, bits, bits ^ (1 << flipped)] {
            let shared = (0..u32::from(length)).all(|bit| (bits ^ client) >> (31 - bit) & 1 == 0);
            let client = Ipv4Addr::from_bits(client);
            prop_assert_eq!(corrected.contains(IpAddr::V4(client)), shared);
            prop_assert_eq!(corrected.contains(IpAddr::V6(client.to_ipv6_mapped())), shared);
        }
    }

    #[test]
    fn an_ipv6_network_holds_the_addresses_that_share_its_bits(bits in any::<u128>(), length in 0u8..=128, other in any::<u128>(), flipped in 0u32..128) {
        // The highest bit keeps all addresses away from `::ffff:0:0/96`, even after the flip of another bit.
        let (bits, other) = (bits | 1 << 127, other | 1 << 127);
        let corrected = corrected(IpAddr::V6(Ipv6Addr::from_bits(bits)), length);
        for client in [other, bits, bits ^ (1 << flipped)] {
            let shared = (0..u32::from(length)).all(|bit| (bits ^ client) >> (127 - bit) & 1 == 0);
            prop_assert_eq!(corrected.contains(IpAddr::V6(Ipv6Addr::from_bits(client))), shared);
        }
    }

    #[test]
    fn a_mapped_network_is_its_ipv4_network(bits in any::<u32>(), length in 0u8..=32) {
        let address = Ipv4Addr::from_bits(bits);
        let mapped = Network::new(IpAddr::V6(address.to_ipv6_mapped()), length + 96);
        prop_assert_eq!(mapped, Network::new(IpAddr::V4(address), length));
    }

    #[test]
    fn a_network_covers_another_when_it_is_shorter_and_holds_its_ends(bits in any::<u32>(), lengths in (0u8..=32, 0u8..=32), flipped in 0u32..32) {
        let whole = corrected(IpAddr::V4(Ipv4Addr::from_bits(bits)), lengths.0);
        let part = corrected(IpAddr::V4(Ipv4Addr::from_bits(bits ^ (1 << flipped))), lengths.1);
        let IpAddr::V4(first) = part.address() else { unreachable!("made from IPv4") };
        let last = first.to_bits() | u32::MAX.checked_shr(lengths.1.into()).unwrap_or(0);
        let holds_both_ends = whole.contains(IpAddr::V4(first)) && whole.contains(IpAddr::V4(Ipv4Addr::from_bits(last)));
        prop_assert_eq!(whole.covers(&part), holds_both_ends);
    }
}

fn corrected(address: IpAddr, length: u8) -> Network {
    match Network::new(address, length) {
        Ok(network) | Err(NetworkError::HostBits { corrected: network }) => network,
        Err(error) => panic!("{address}/{length}: {error}"),
    }
}

/// Two letters and four segments tell all patterns of up to three segments apart.
#[test]
fn a_permission_pattern_covers_another_exactly_when_it_grants_all_of_its_words() {
    let words: Vec<String> = sequences(&["a", "b"], 5).iter().map(|word| word.join(":")).collect();
    let wildcards = sequences(&["a", "b"], 2).into_iter().map(|above| above.join(":") + ":*");
    let written = sequences(&["a", "b"], 3).into_iter().map(|word| word.join(":")).chain(wildcards).chain(["*".into()]);
    let patterns: Vec<PermissionPattern> = written.map(|text| PermissionPattern::parse(&text).unwrap()).collect();

    for whole in &patterns {
        for part in &patterns {
            let expected = words
                .iter()
                .filter(|word| naive_grant(part.as_str(), word))
                .all(|word| naive_grant(whole.as_str(), word));
            assert_eq!(whole.covers(part), expected, "{whole} covers {part}");
        }
        for word in &words {
            let granted = whole.grants(PermissionRef::parse(word).unwrap());
            assert_eq!(granted, naive_grant(whole.as_str(), word), "{whole} grants {word}");
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

/// All patterns and paths of up to three segments over two letters, with and without a slash at the end.
#[test]
fn a_resource_pattern_matches_and_covers_as_a_naive_reading_does() {
    let with_slash = |texts: Vec<Vec<String>>| -> Vec<String> {
        let texts: Vec<String> = texts.iter().map(|segments| format!("/{}", segments.join("/"))).collect();
        texts.iter().cloned().chain(texts.iter().map(|text| format!("{text}/"))).chain(["/".into()]).collect()
    };
    let paths: Vec<ResourcePath> =
        with_slash(sequences(&["a", "b"], 4)).iter().map(|text| ResourcePath::parse(text).unwrap()).collect();
    let patterns: Vec<ResourcePattern> = with_slash(sequences(&["a", "b", "*", "**"], 3))
        .iter()
        .filter_map(|text| ResourcePattern::parse(text).ok())
        .collect();
    // 39 without a tail wildcard, each with and without a slash at the end; 13 that end in `**`; and `/`.
    assert_eq!(patterns.len(), 92);

    for whole in &patterns {
        let matched: Vec<bool> = paths.iter().map(|path| whole.matches(path)).collect();
        for (path, matched) in paths.iter().zip(&matched) {
            assert_eq!(*matched, naive_match(whole.as_str(), path.as_str()), "{whole} matches {path}");
        }
        for part in &patterns {
            let expected = paths.iter().zip(&matched).all(|(path, matched)| *matched || !part.matches(path));
            assert_eq!(whole.covers(part), expected, "{whole} covers {part}");
        }
    }
}

fn naive_match(pattern: &str, path: &str) -> bool {
    fn from_here(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            (["**"], [_, ..]) => true,
            (["*", pattern @ ..], [segment, path @ ..]) => !segment.is_empty() && from_here(pattern, path),
            ([expected, pattern @ ..], [segment, path @ ..]) => expected == segment && from_here(pattern, path),
            _ => false,
        }
    }
    from_here(&pattern[1..].split('/').collect::<Vec<_>>(), &path[1..].split('/').collect::<Vec<_>>())
}
