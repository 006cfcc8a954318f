//! What reading a key's row costs: a replica with a million keys reads them all before it serves. Nothing is asserted of
//! time: machines differ. Run with `cargo test --release -p latchkey-wire --test wire measure -- --ignored --nocapture`.

use crate::fixtures::rows;
use latchkey_wire::disk::{RowReader, encode_row};
use std::time::Instant;

const ROWS: u32 = 200_000;

#[test]
#[ignore = "measures, proves nothing"]
fn the_cost_of_a_row() {
    for name in ["plain_key", "key"] {
        let (_, row) = rows().into_iter().find(|(candidate, _)| *candidate == name).unwrap();
        let (table, bytes) = (row.id().table(), encode_row(&row));
        let mut reader = RowReader::default();
        let start = now();
        for _ in 0..ROWS {
            std::hint::black_box(reader.decode_row(table, std::hint::black_box(&bytes)).unwrap());
        }
        println!("{name}: {} B, read in {:?}", bytes.len(), start.elapsed() / ROWS);
        let start = now();
        for _ in 0..ROWS {
            std::hint::black_box(encode_row(std::hint::black_box(&row)));
        }
        println!("{name}: written in {:?}", start.elapsed() / ROWS);
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn now() -> Instant {
    Instant::now()
}
