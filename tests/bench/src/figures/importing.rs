//! Keys of another system, imported by digest in batches on one stream.

use crate::clock;
use crate::cluster::{Cluster, OWNER, PERMISSION};
use crate::table::{Table, say};
use latchkey_wire::pb::v1;
use std::error::Error;
use std::time::Duration;
use tonic::Code;

/// Keys of a batch, the most that one may have.
const BATCH_KEYS: usize = 1_000;

/// The keyspace that they come into, what its own key texts begin with, and the id of their form.
const KEYSPACE_ID: &str = "imported";
const PREFIX: &str = "acme_imported";
const FORMAT: &str = "unkey";

/// Imports `keys` keys into a keyspace of their own, and adds a line. Issuance runs.
pub(crate) async fn measure(cluster: &Cluster, keys: usize, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let parent = cluster.make_keyspace(KEYSPACE_ID, PREFIX, vec![format()]).await?;
    let batches: Vec<_> = (0..keys.div_ceil(BATCH_KEYS))
        .map(|batch| v1::ImportKeysRequest {
            parent: parent.clone(),
            keys: (batch * BATCH_KEYS..keys.min((batch + 1) * BATCH_KEYS)).map(row).collect(),
            ..Default::default()
        })
        .collect();
    let since = clock::now();
    let imported = match import(cluster, batches).await {
        Err(status) if status.code() == Code::Unimplemented => {
            table.note("ImportKeys is not served: not measured");
            return Ok(());
        }
        imported => imported?,
    };
    let per_second = imported as f64 / (clock::now() - since).as_secs_f64();
    say(&format!("{imported} keys imported at {per_second:.0} keys/s"));
    if imported != keys {
        return Err(format!("{imported} keys of {keys} were imported").into());
    }
    table.single("ImportKeys, keys/s by digest on one stream", per_second, None);
    Ok(())
}

/// Sends all batches on one stream. Gives how many keys came in.
async fn import(cluster: &Cluster, batches: Vec<v1::ImportKeysRequest>) -> Result<usize, tonic::Status> {
    let mut client = cluster.issuer();
    let mut request = cluster.signed(tokio_stream::iter(batches));
    request.set_timeout(STREAM_MAX);
    let mut answers = client.import_keys(request).await?.into_inner();
    let mut imported = 0;
    while let Some(answer) = answers.message().await? {
        if let Some(error) = answer.error {
            return Err(tonic::Status::new(Code::from(error.code), error.message));
        }
        imported += answer.imported.len();
    }
    Ok(imported)
}

/// How long all may take.
const STREAM_MAX: Duration = Duration::from_secs(300);

/// What the other system's texts look like.
fn format() -> v1::ImportFormat {
    v1::ImportFormat {
        id: FORMAT.to_owned(),
        digest: v1::ImportDigest::Sha256OfText.into(),
        prefix: "unkey_live_".to_owned(),
        parts: vec![v1::ImportPart { alphabet: v1::ImportAlphabet::Base58.into(), length_min: 22, length_max: 22 }],
    }
}

/// A row as Unkey exports it. Its digest is that of no text anybody has, and no other row's.
fn row(number: usize) -> v1::ImportedKey {
    let digest: Vec<u8> = (1..=4).flat_map(|part: u64| mixed(number as u64 * 4 + part).to_be_bytes()).collect();
    v1::ImportedKey {
        format: FORMAT.to_owned(),
        material: Some(v1::imported_key::Material::Digest(digest)),
        start: "unkey_live_3Zh".to_owned(),
        source_id: format!("key_{number:020}"),
        display_name: format!("till {number}"),
        owner: OWNER.to_owned(),
        permissions: vec![PERMISSION.to_owned()],
        ..Default::default()
    }
}

/// Another number for each number, with no order to be seen. Source: Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators" (SplitMix64).
const fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
