//! A log whose entries are made up, for tests of whoever reads logs: behind the feature `testing`.
use crate::note::{Algorithm, Note, SignerKey, VerifierKey};
use crate::{
    Checkpoint, Edge, EntryTile, Evidence, LEAF_BYTES, Leaf, ProofFile, Resource, Tile, TileId, commitment,
    inclusion_nodes, inclusion_proof,
};
use crate::{Hash, KnownNodes, TILE_WIDTH};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use latchkey_domain::{Revision, Sequence};

/// The name of the log.
pub const ORIGIN: &str = "latchkey/c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1";

/// When the first checkpoint is cosigned, in seconds since 1970; each later one a second later.
const BEGAN: u64 = 1_800_000_000;

/// A log in memory, as an archive stores it.
#[derive(Debug)]
pub struct TestLog {
    edge: Edge,
    objects: BTreeMap<String, Vec<u8>>,
    /// The entries of the bundle that is not full.
    bundle: Vec<[u8; LEAF_BYTES]>,
    signer: SignerKey,
    cosigners: Vec<SignerKey>,
    checkpoints: u64,
}

impl TestLog {
    /// An empty log with so many cosigning replicas.
    ///
    /// # Panics
    /// Never: the names of its keys are well-formed.
    #[must_use]
    pub fn new(cosigners: u8) -> Self {
        let cosigner = |node: u8| {
            let name = format!("{ORIGIN}/replica/{node}");
            SignerKey::new(&name, Algorithm::CosignatureV1, &[node; 32]).expect("a name without spaces")
        };
        Self {
            edge: Edge::new(),
            objects: BTreeMap::new(),
            bundle: Vec::new(),
            signer: SignerKey::new(ORIGIN, Algorithm::Ed25519, &[0xA0; 32]).expect("a name without spaces"),
            cosigners: (1..=cosigners).map(cosigner).collect(),
            checkpoints: 0,
        }
    }

    /// The event of an entry.
    #[must_use]
    pub fn event(sequence: u64) -> Vec<u8> {
        format!("event {sequence}").into_bytes()
    }

    /// What opens the commitment of an entry.
    #[must_use]
    pub fn opening(sequence: u64) -> [u8; 32] {
        commitment(&[0x0C; 32], &sequence.to_be_bytes())
    }

    /// The leaf of an entry.
    #[must_use]
    pub fn leaf(sequence: u64) -> Leaf {
        let commitment = commitment(&Self::opening(sequence), &Self::event(sequence));
        Leaf { format: 1, sequence: Sequence(sequence), revision: Revision::new(1, sequence + 7), commitment }
    }

    /// Appends entries until there are `size`.
    ///
    /// # Panics
    /// Never: tiles and bundles are given out when they are full.
    pub fn grow(&mut self, size: u64) {
        for sequence in self.edge.size()..size {
            let leaf = Self::leaf(sequence);
            self.bundle.push(leaf.preimage());
            let objects = &mut self.objects;
            self.edge.push(leaf.hash(), |tile| put(objects, Resource::Tile(tile.id()), tile.encode()));
            if self.bundle.len() == usize::from(TILE_WIDTH) {
                let id = TileId::at(0, sequence / u64::from(TILE_WIDTH), sequence + 1).expect("an entry was appended");
                let bundle = EntryTile::new(id, core::mem::take(&mut self.bundle)).expect("as wide as it is full");
                put(objects, Resource::Entries(id), bundle.encode());
            }
        }
    }

    /// Stores what is not full, and a checkpoint that all vouch for; gives it back.
    ///
    /// # Panics
    /// Never: the text of a checkpoint is one of a note.
    pub fn checkpoint(&mut self) -> Note {
        for tile in self.edge.partial() {
            if tile.id().level() == 0 {
                let bundle = EntryTile::new(tile.id(), self.bundle.clone()).expect("as wide as the tile of its leaves");
                put(&mut self.objects, Resource::Entries(tile.id()), bundle.encode());
            }
            put(&mut self.objects, Resource::Tile(tile.id()), tile.encode());
        }
        let checkpoint = Checkpoint { origin: ORIGIN.to_string(), size: self.edge.size(), root: self.edge.root() };
        let mut note = Note::new(&checkpoint.text()).expect("three lines are a text");
        note.sign(&self.signer);
        for cosigner in &self.cosigners {
            note.add(cosigner.cosign(BEGAN + self.checkpoints, note.text()));
        }
        self.checkpoints += 1;
        put(&mut self.objects, Resource::Checkpoint, note.to_string().into_bytes());
        note
    }

    /// All that is stored, by path.
    #[must_use]
    pub const fn objects(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.objects
    }

    /// The same, to be tampered with.
    #[must_use]
    pub const fn objects_mut(&mut self) -> &mut BTreeMap<String, Vec<u8>> {
        &mut self.objects
    }

    /// What signs its checkpoints.
    #[must_use]
    pub const fn signer(&self) -> &SignerKey {
        &self.signer
    }

    /// The keys that verify its checkpoints: the log's own first.
    #[must_use]
    pub fn verifier_keys(&self) -> Vec<VerifierKey> {
        let signers = core::iter::once(&self.signer).chain(&self.cosigners);
        signers.map(|signer| signer.verifier().clone()).collect()
    }

    /// The proof of an entry under the newest checkpoint, `note`.
    ///
    /// # Panics
    /// Where the entry is not under it.
    #[must_use]
    pub fn proof(&self, note: &Note, sequence: u64) -> ProofFile {
        let size = Checkpoint::parse(note.text()).expect("our own checkpoint").size;
        let node = |(level, index)| -> Hash {
            let id = TileId::of_node((level, index), size).expect("a node of the tree");
            let tile = Tile::decode(id, &self.objects[&id.path()]).expect("our own tile");
            tile.node((level, index)).expect("a node of its tile")
        };
        let nodes: KnownNodes = inclusion_nodes(sequence, size).into_iter().map(|id| (id, node(id))).collect();
        let proof = inclusion_proof(&nodes, sequence, size).expect("all that is needed is known");
        let content = Some((Self::opening(sequence), Self::event(sequence)));
        let extra = Evidence { preimage: Self::leaf(sequence).preimage(), content }.write();
        ProofFile { extra, index: sequence, proof, checkpoint: note.clone() }
    }
}

fn put(objects: &mut BTreeMap<String, Vec<u8>>, resource: Resource, bytes: Vec<u8>) {
    objects.insert(resource.path(), bytes);
}
