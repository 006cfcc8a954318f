//! What the two hot paths cost: checking a presented text, and opening rows at start.
//!
//! `cargo test --release -p latchkey-crypto --test speed -- --ignored --nocapture`
use latchkey_crypto::envelope::{Context, Field, open, seal};
use latchkey_crypto::{DataKey, Entropy, Inner, Pepper, Secret, compose, draw_version_id, parse};
use latchkey_domain::{ClusterId, Prefix, RingNumber, TenantNumber};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 1_000_000;

struct Fixed;

impl Entropy for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0x2A);
    }
}

#[test]
#[ignore = "measures, and proves nothing"]
fn speed() {
    let (version, secret) = (draw_version_id(&mut Fixed), Secret::draw(&mut Fixed));
    let text = compose(&Prefix::parse("acme_live").unwrap(), version, &secret);
    let (pepper, inner) = (Pepper::new(&[1; 32]), Inner::of(version, &secret));
    let digest = pepper.digest(&inner);
    report("parse", || parse(black_box(text.expose())).is_some());
    report("version id as characters", || black_box(version).chars()[0] != 0);
    report("inner", || Inner::of(black_box(version), &secret).expose()[0] == inner.expose()[0]);
    report("digest", || pepper.digest(black_box(&inner)).matches(&digest));
    report("parse, inner, digest, compare", || {
        let presented = parse(black_box(text.expose())).unwrap();
        pepper.digest(&Inner::of(presented.version, &presented.secret)).matches(&digest)
    });

    let key = DataKey::new([3; 32]);
    let context = Context {
        cluster: ClusterId([4; 16]),
        tenant: TenantNumber(5),
        record: &[6; 16],
        field: Field::ROW,
        schema: 1,
    };
    for bytes in [32, 400] {
        let sealed = seal(&key, RingNumber(7), &context, [8; 16], &vec![9; bytes]);
        report(&format!("seal {bytes} bytes"), || {
            seal(&key, RingNumber(7), &context, [8; 16], &sealed[69..][..bytes]).len() == sealed.len()
        });
        report(&format!("open {bytes} bytes"), || open(&key, &context, black_box(&sealed)).is_ok());
    }
}

#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "measuring is reading the clock and showing it")]
fn report(what: &str, round: impl Fn() -> bool) {
    let start = Instant::now();
    assert!((0..ROUNDS).all(|_| black_box(round())));
    println!("{what}: {} ns", start.elapsed().as_nanos() / u128::from(ROUNDS));
}
