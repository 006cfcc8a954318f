//! A key text is read exactly if it was composed.
use super::*;
use crate::draw_version_id;
use crate::test_support::Seeded;
use proptest::prelude::*;

/// What may be put in the place of a character: all of ASCII, and letters of two and three bytes.
fn strangers() -> impl Iterator<Item = char> {
    (0..128_u8).map(char::from).chain(['é', '€'])
}

fn composed(prefix: &str, seed: u64) -> KeyText {
    let mut entropy = Seeded(seed);
    let version = draw_version_id(&mut entropy);
    compose(&Prefix::parse(prefix).unwrap(), version, &Secret::draw(&mut entropy))
}

fn with_checksum(body: &str) -> String {
    format!("{body}{}", ascii(&checksum(body.as_bytes())))
}

#[test]
fn every_change_of_one_character_is_refused() {
    let text = composed("acme_live", 1);
    let text = text.expose();
    for place in 0..text.len() {
        for stranger in strangers().filter(|stranger| !text[place..].starts_with(*stranger)) {
            let changed = format!("{}{stranger}{}", &text[..place], &text[place + 1..]);
            assert!(parse(&changed).is_none(), "{stranger:?} at {place}");
        }
    }
}

#[test]
fn every_missing_doubled_or_swapped_character_is_refused() {
    let text = composed("lkm", 2);
    let text = text.expose();
    for place in 0..text.len() {
        let without = format!("{}{}", &text[..place], &text[place + 1..]);
        let doubled = format!("{}{}", &text[..=place], &text[place..]);
        assert!(parse(&without).is_none() && parse(&doubled).is_none(), "at {place}");
        let mut swapped = text.as_bytes().to_vec();
        swapped.swap(place, (place + 1) % text.len());
        let swapped = String::from_utf8(swapped).unwrap();
        assert!(swapped == text || parse(&swapped).is_none(), "at {place}");
    }
}

#[test]
fn a_wrong_shape_is_refused_even_with_a_right_checksum() {
    let (version, secret) = ("0123456789ABCDEF", "k".repeat(32));
    assert!(parse(&with_checksum(&format!("acme_{version}_{secret}"))).is_some());
    for body in [
        format!("_{version}_{secret}"),
        format!("1acme_{version}_{secret}"),
        format!("Acme_{version}_{secret}"),
        format!("acme__{version}_{secret}"),
        format!("ac__me_{version}_{secret}"),
        format!("_acme_{version}_{secret}"),
        format!("acmé_{version}_{secret}"),
        format!("abcdefghijklmnopq_{version}_{secret}"),
        format!("acme-{version}_{secret}"),
        format!("acme_{version}-{secret}"),
        format!("acme_{}-_{secret}", &version[1..]),
        format!("acme_{}_{secret}", &version[1..]),
        format!("acme_{version}_{}", &secret[1..]),
        format!("acme_{version}_{}_", &secret[1..]),
        format!("acme_{version}_{}\0", &secret[1..]),
        format!("acme_{version}_{}é", &secret[2..]),
        String::new(),
    ] {
        assert!(parse(&with_checksum(&body)).is_none(), "{body:?}");
    }
}

#[test]
fn a_million_random_or_malformed_texts_are_refused_without_a_panic() {
    const TEXTS: u32 = 1_000_000;
    const ALPHABET: &[u8] = b"_aZ09k-. \xC3\xA9\xFF";
    let seed = 20_260_101;
    let mut entropy = Seeded(seed);
    let honest = composed("acme_live", seed);
    let mut bytes = Vec::new();
    for number in 0..TEXTS {
        bytes.clear();
        if number % 2 == 0 {
            // An honest text with two to five characters replaced, now and then by half a letter.
            bytes.extend_from_slice(honest.expose().as_bytes());
            for _ in 0..2 + entropy.below(4) {
                let place = entropy.below(bytes.len());
                bytes[place] = ALPHABET[entropy.below(ALPHABET.len())];
            }
        } else {
            let length = entropy.below(90);
            bytes.extend((0..length).map(|_| ALPHABET[entropy.below(ALPHABET.len())]));
        }
        let text = String::from_utf8_lossy(&bytes);
        assert!(text == honest.expose() || parse(&text).is_none(), "text {number} of seed {seed}: {text:?}");
    }
    println!("{TEXTS} texts refused, seed {seed}");
}

#[test]
fn the_characters_of_a_key_text_are_a_contract() {
    let version = VersionId::parse("0123456789ABCDEF").unwrap();
    let secret = Secret::from_chars(&[b'k'; 32]).unwrap();
    let text = compose(&Prefix::parse("acme_live").unwrap(), version, &secret);
    assert_eq!(text.expose(), "acme_live_0123456789ABCDEF_kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk0ZcK7f");
}

#[test]
fn the_checksum_is_the_published_crc_32() {
    // The check value of CRC-32/ISO-HDLC, for the text "123456789".
    assert_eq!(base62::decode(&checksum(b"123456789")), Some(0xCBF4_3926));
}

#[test]
fn the_longest_text_has_72_characters_and_the_shortest_57() {
    assert_eq!(composed("abcdefghijklmnop", 3).expose().len(), KEY_TEXT_CHARS_MAX);
    assert_eq!(composed("a", 3).expose().len(), 57);
}

#[test]
fn debug_shows_no_character_of_the_secret() {
    let text = compose(&Prefix::parse("a").unwrap(), VersionId::LOWEST, &Secret::from_chars(&[b'Q'; 32]).unwrap());
    assert_eq!(format!("{text:?}"), "KeyText(57 characters)");
    assert!(!format!("{:?}", parse(text.expose()).unwrap()).contains("QQ"));
}

proptest! {
    #[test]
    fn what_was_composed_is_read(seed in any::<u64>(), prefix in "[a-z][a-z0-9]{0,7}(_[a-z0-9]{1,7})?") {
        let mut entropy = Seeded(seed);
        let (version, secret) = (draw_version_id(&mut entropy), Secret::draw(&mut entropy));
        let text = compose(&Prefix::parse(&prefix).unwrap(), version, &secret);
        let presented = parse(text.expose()).unwrap();
        prop_assert_eq!(presented.prefix, prefix);
        prop_assert_eq!(presented.version, version);
        prop_assert_eq!(presented.secret.expose(), secret.expose());
    }

    #[test]
    fn the_prefix_rule_is_that_of_the_domain(text in "[a-c0-1_A]{0,18}|\\PC{0,6}") {
        prop_assert_eq!(is_prefix(text.as_bytes()), Prefix::parse(&text).is_ok(), "{:?}", text);
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in "\\PC{0,80}") {
        prop_assert!(parse(&text).is_none());
    }
}
