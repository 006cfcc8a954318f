//! Which tiles there are, and under which paths. Source: c2sp.org/tlog-tiles.
use crate::nodes::NodeId;
use alloc::format;
use alloc::string::String;
use core::fmt;

/// Hashes of a full tile; entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// The highest level of tiles that a tree of less than 2^64 leaves has.
const LEVEL_MAX: u8 = 7;

/// A tile: `width` hashes of nodes of level `8 * level`, from node `256 * index` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    level: u8,
    index: u64,
    width: u16,
}

impl TileId {
    /// The tile of that level (0 to 7), index and width (1 to 256); `None` where a tree of less than 2^64 leaves has none
    /// such.
    #[must_use]
    pub fn new(level: u8, index: u64, width: u16) -> Option<Self> {
        let nodes_max = u64::MAX >> (8 * u32::from(level.min(LEVEL_MAX)));
        let next = index.checked_mul(u64::from(TILE_WIDTH))?.checked_add(u64::from(width))?;
        let fits = level <= LEVEL_MAX && (1..=TILE_WIDTH).contains(&width) && next <= nodes_max;
        fits.then_some(Self { level, index, width })
    }

    /// The tile with the hash of leaf `leaf`, or the bundle with its entry, in a tree of `size` leaves; `None` beyond.
    #[must_use]
    pub fn of_leaf(leaf: u64, size: u64) -> Option<Self> {
        Self::of_node((0, leaf), size)
    }

    /// The tile from which `node` is computed, as it is in a tree of `size` leaves; `None` where the node is not
    /// complete there.
    #[must_use]
    pub fn of_node((level, index): NodeId, size: u64) -> Option<Self> {
        if level > 63 || index >= size >> level {
            return None;
        }
        let (tile_level, within) = (level / 8, level % 8);
        let index = (index << within) / u64::from(TILE_WIDTH);
        Self::at(tile_level, index, size)
    }

    /// The tile of that level and index as it is in a tree of `size` leaves; `None` where it is empty.
    #[must_use]
    pub fn at(level: u8, index: u64, size: u64) -> Option<Self> {
        if level > LEVEL_MAX {
            return None;
        }
        let nodes = size >> (8 * u32::from(level));
        let left = nodes.checked_sub(index.checked_mul(u64::from(TILE_WIDTH))?)?;
        let width = u16::try_from(left).map_or(TILE_WIDTH, |left| left.min(TILE_WIDTH));
        (width > 0).then_some(Self { level, index, width })
    }

    /// The tiles of a tree of `size` leaves, level by level from the leaves up.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        Self::between(0, size)
    }

    /// The tiles of a tree of `new` leaves that one of `old` leaves has not, or not as wide: what is to be written
    /// when a tree has grown.
    pub fn between(old: u64, new: u64) -> impl Iterator<Item = Self> {
        (0..=LEVEL_MAX).flat_map(move |level| {
            let nodes = |size: u64| size >> (8 * u32::from(level));
            let first = nodes(old) / u64::from(TILE_WIDTH);
            let next = if nodes(old) < nodes(new) { nodes(new).div_ceil(u64::from(TILE_WIDTH)) } else { first };
            (first..next).filter_map(move |index| Self::at(level, index, new))
        })
    }

    /// The level: 0 for leaves; a hash of level `n` is a full tile of level `n - 1`.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Its number within the level, from 0.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many hashes it has: 1 to 256.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Whether it can grow no more.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The same tile once it is full.
    #[must_use]
    pub const fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// The index, within the nodes of its level, of its first hash; on level 0 the sequence of its first entry.
    #[must_use]
    pub fn first(self) -> u64 {
        self.index * u64::from(TILE_WIDTH)
    }

    /// Where its hashes lie: `tile/0/x001/234`, or `tile/0/x001/234.p/7`.
    #[must_use]
    pub fn path(self) -> String {
        Resource::Tile(self).path()
    }

    /// Where the bundle of the same entries lies: `tile/entries/x001/234`. Of a tile of level 0.
    #[must_use]
    pub fn entries_path(self) -> String {
        Resource::Entries(self).path()
    }
}

/// What a log shows to everybody, by path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The newest checkpoint.
    Checkpoint,
    /// Hashes.
    Tile(TileId),
    /// Leaf preimages: a bundle has the index and width of the tile of level 0 with their hashes.
    Entries(TileId),
}

impl Resource {
    /// Its path below the log's address, without a slash before it.
    #[must_use]
    pub fn path(self) -> String {
        let (folder, id) = match self {
            Self::Checkpoint => return String::from("checkpoint"),
            Self::Tile(id) => (format!("{}", id.level), id),
            Self::Entries(id) => (String::from("entries"), id),
        };
        let mut number = format!("{:03}", id.index % 1_000);
        let mut rest = id.index / 1_000;
        while rest > 0 {
            number = format!("x{:03}/{number}", rest % 1_000);
            rest /= 1_000;
        }
        let partial = if id.is_full() { String::new() } else { format!(".p/{}", id.width) };
        format!("tile/{folder}/{number}{partial}")
    }

    /// Reads a path. Only what [`Self::path`] writes is one, so nothing has two paths.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn parse(path: &str) -> Result<Self, PathError> {
        Self::read(path).filter(|found| found.path() == path).ok_or(PathError)
    }

    fn read(path: &str) -> Option<Self> {
        if path == "checkpoint" {
            return Some(Self::Checkpoint);
        }
        let (folder, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok()?),
            None => (rest, TILE_WIDTH),
        };
        let mut index = 0_u64;
        for part in number.split('/') {
            let digits = part.strip_prefix('x').unwrap_or(part);
            let three: u16 = (digits.len() == 3).then(|| digits.parse().ok()).flatten()?;
            index = index.checked_mul(1_000)?.checked_add(u64::from(three))?;
        }
        match folder {
            "entries" => TileId::new(0, index, width).map(Self::Entries),
            level => TileId::new(level.parse().ok()?, index, width).map(Self::Tile),
        }
    }
}

/// The path names nothing that a log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathError;

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected `checkpoint`, `tile/<level>/<number>` or `tile/entries/<number>`, the number in groups of three \
             digits such as `x001/x234/067`, with `.p/<width>` behind it where it is not full",
        )
    }
}

impl core::error::Error for PathError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn id(level: u8, index: u64, width: u16) -> TileId {
        TileId::new(level, index, width).unwrap()
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(id(0, 1_234_067, 256).path(), "tile/0/x001/x234/067");
        assert_eq!(id(2, 0, 1).path(), "tile/2/000.p/1");
        assert_eq!(id(0, 273, 112).entries_path(), "tile/entries/273.p/112");
        assert_eq!(Resource::parse("tile/entries/x001/000"), Ok(Resource::Entries(id(0, 1_000, 256))));
        assert_eq!(Resource::parse("checkpoint"), Ok(Resource::Checkpoint));
    }

    #[test]
    fn another_way_to_write_a_path_is_refused() {
        let wrong = [
            "",
            "/checkpoint",
            "checkpoint/",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001",
            "tile/00/001",
            "tile/8/000",
            "tile/-1/000",
            "tile/0/+01",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/07",
            "tile/0/000.p/257",
            "tile/0/000.p/",
            "tile/0/../000",
            "tile/entries/x001/1",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/7/001",
            "tile/Entries/000",
            "tile/0/000.p/1/2",
            "tile/0/０00",
        ];
        for path in wrong {
            assert_eq!(Resource::parse(path), Err(PathError), "{path}");
        }
    }

    /// The example of the specification: 70,000 leaves.
    #[test]
    fn a_tree_has_the_tiles_that_the_specification_counts() {
        let tiles: Vec<_> = TileId::all(70_000).collect();
        assert_eq!(tiles.len(), 273 + 1 + 1 + 1 + 1);
        assert_eq!(tiles[273..], [id(0, 273, 112), id(1, 0, 256), id(1, 1, 17), id(2, 0, 1)]);
        assert_eq!(TileId::all(256).collect::<Vec<_>>(), [id(0, 0, 256), id(1, 0, 1)]);
        assert_eq!(TileId::all(0).count(), 0);
    }

    #[test]
    fn the_largest_tree_has_eight_levels() {
        assert_eq!(TileId::at(7, 0, u64::MAX), Some(id(7, 0, 255)));
        assert_eq!((TileId::at(8, 0, u64::MAX), TileId::new(7, 0, 256)), (None, None));
        assert_eq!(TileId::of_leaf(u64::MAX - 1, u64::MAX), TileId::new(0, u64::MAX >> 8, 255));
        assert_eq!(TileId::of_node((63, 0), u64::MAX), Some(id(7, 0, 255)));
    }

    proptest! {
        #[test]
        fn a_path_reads_as_it_was_written(level in 0_u8..=7, index in any::<u64>(), width in 0_u16..300) {
            if let Some(id) = TileId::new(level, index >> (8 * u32::from(level)) >> 8, width) {
                prop_assert_eq!(Resource::parse(&id.path()), Ok(Resource::Tile(id)));
                prop_assert!(id.path().starts_with(&id.full().path()));
            }
        }

        #[test]
        fn no_path_panics(path in "(tile/)?[0-9entrisx/.p]{0,40}", noise in "\\PC{0,60}") {
            let _ = (Resource::parse(&path), Resource::parse(&noise));
        }

        #[test]
        fn what_grows_is_what_was_not_there(old in 0_u64..70_000, more in 0_u64..70_000) {
            let had: BTreeSet<_> = TileId::all(old).collect();
            let has: BTreeSet<_> = TileId::all(old + more).collect();
            let written: BTreeSet<_> = TileId::between(old, old + more).collect();
            prop_assert_eq!(has.difference(&had).copied().collect::<BTreeSet<_>>(), written);
        }
    }
}
