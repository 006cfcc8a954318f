package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Tiles of c2sp.org/tlog-tiles are 2^8 hashes wide.
const (
	height    = 8
	width     = 1 << height
	leafBytes = 57
)

// Log is what is stored of a log, in memory, and what was seen of it earlier.
type Log struct {
	keys   *Keys
	quorum int
	files  map[string][]byte
	// Checkpoints that were seen earlier, in order.
	Seen []*Checkpoint
	// Those, as they were stored.
	notes [][]byte
}

// stored is what a verifier reads from: the files, with one of them changed.
type stored struct {
	files   map[string][]byte
	changed string
	bytes   []byte
}

func (s stored) read(path string) ([]byte, error) {
	found, there := s.files[path], true
	if path == s.changed {
		found, there = s.bytes, s.bytes != nil
	} else {
		_, there = s.files[path]
	}
	if !there {
		return nil, fmt.Errorf("%s is missing", path)
	}
	return found, nil
}

// Height, ReadTiles and SaveTiles make it a tlog.TileReader. Nothing is saved: each reading verifies anew.
func (s stored) Height() int                         { return height }
func (s stored) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (s stored) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(tiles))
	for at, tile := range tiles {
		var err error
		if read[at], err = s.read(tilePath(tile)); err != nil {
			return nil, err
		}
	}
	return read, nil
}

// tilePath is that of c2sp.org/tlog-tiles, which has no height in it.
func tilePath(tile tlog.Tile) string {
	return strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
}

func bundlePath(tile tlog.Tile) string {
	return strings.Replace(tilePath(tile), "tile/0/", "tile/entries/", 1)
}

// parse reads a path into the tile that it names, and whether it is a bundle of entries.
func parse(path string) (tile tlog.Tile, entries bool, err error) {
	parts := strings.Split(path, "/")
	if len(parts) < 3 || parts[0] != "tile" {
		return tile, false, fmt.Errorf("%s is no file of a log", path)
	}
	if entries = parts[1] == "entries"; entries {
		parts[1] = "0"
	}
	tile, err = tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", height, strings.Join(parts[1:], "/")))
	if err != nil {
		return tile, entries, fmt.Errorf("%s is no file of a log", path)
	}
	return tile, entries, nil
}

// unfinished is what whoever was killed while it wrote a file into a local folder leaves: the file gets its own name once it is
// whole. No path of a log looks like it, so nothing of a log can hide behind it.
var unfinished = regexp.MustCompile(`#[0-9]+$`)

// Open reads a folder. Nothing in it is believed.
func Open(folder string, quorum int) (*Log, error) {
	text, err := os.ReadFile(filepath.Join(folder, "keys"))
	if err != nil {
		return nil, err
	}
	log := &Log{quorum: quorum, files: map[string][]byte{}}
	if log.keys, err = ReadKeys(string(text)); err != nil {
		return nil, err
	}
	if quorum < 0 {
		log.quorum = 0
		if log.keys.cosigners > 0 {
			log.quorum = log.keys.cosigners/2 + 1
		}
	}
	root := filepath.Join(folder, "log")
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if unfinished.MatchString(name) {
			return nil
		}
		log.files[filepath.ToSlash(name)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	seen, err := filepath.Glob(filepath.Join(folder, "checkpoints", "*"))
	if err != nil {
		return nil, err
	}
	slices.Sort(seen)
	for _, path := range seen {
		bytes, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		checkpoint, err := log.keys.Read(bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		log.Seen, log.notes = append(log.Seen, checkpoint), append(log.notes, bytes)
	}
	return log, nil
}

// Newest is the stored checkpoint.
func (l *Log) Newest() (*Checkpoint, error) { return l.newest(stored{files: l.files}) }

func (l *Log) newest(from stored) (*Checkpoint, error) {
	bytes, err := from.read("checkpoint")
	if err != nil {
		return nil, err
	}
	checkpoint, err := l.keys.Read(bytes)
	if err != nil {
		return nil, err
	}
	if checkpoint.Cosigned < l.quorum {
		return nil, fmt.Errorf("%d cosigners vouch, expected %d", checkpoint.Cosigned, l.quorum)
	}
	return checkpoint, nil
}

// CheckSeen checks that each checkpoint goes on from the one before, and the newest from the last.
func (l *Log) CheckSeen(newest *Checkpoint) error {
	return l.checkSeen(stored{files: l.files}, newest)
}

func (l *Log) checkSeen(from stored, newest *Checkpoint) error {
	for at, old := range l.Seen {
		next := newest
		if at+1 < len(l.Seen) {
			next = l.Seen[at+1]
		}
		if next.Size < old.Size {
			return fmt.Errorf("a checkpoint of %d entries comes after one of %d", next.Size, old.Size)
		}
		if old.Size == 0 {
			continue
		}
		// The proof comes from the tiles under the newest, whose root each of them leads to.
		proof, err := tlog.ProveTree(next.Size, old.Size, tlog.TileHashReader(newest.Tree, from))
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, next.Size, next.Tree.Hash, old.Size, old.Tree.Hash); err != nil {
			return fmt.Errorf("the tree of %d entries does not begin with that of %d: %w", next.Size, old.Size, err)
		}
	}
	return nil
}

// within tells whether all that a file has lies under the checkpoint.
func within(tile tlog.Tile, size int64) bool {
	return tile.N*width+int64(tile.W) <= size>>(height*tile.L)
}

// widest is the tile of the same place as wide as it is in a tree of that size.
func widest(tile tlog.Tile, size int64) tlog.Tile {
	tile.W = int(min(int64(width), size>>(height*tile.L)-tile.N*width))
	return tile
}

// Beyond counts the files that lie beyond the checkpoint: published, and not vouched for yet.
func (l *Log) Beyond(newest *Checkpoint) int {
	beyond := 0
	for path := range l.files {
		if tile, _, err := parse(path); err == nil && !within(tile, newest.Size) {
			beyond++
		}
	}
	return beyond
}

// CheckAll checks each file, that none is missing, and each leaf; it counts leaves.
func (l *Log) CheckAll(newest *Checkpoint) (int64, error) {
	leaves, from := int64(0), stored{files: l.files}
	for level := 0; newest.Size>>(height*level) > 0; level++ {
		count := newest.Size >> (height * level)
		for n := int64(0); n*width < count; n++ {
			tile := widest(tlog.Tile{H: height, L: level, N: n, W: width}, newest.Size)
			if _, err := hashes(from, newest, tile); err != nil {
				return leaves, err
			}
			if level > 0 {
				continue
			}
			if err := checkBundle(from, newest, tile, bundlePath(tile)); err != nil {
				return leaves, err
			}
			leaves += int64(tile.W)
		}
	}
	for path := range l.files {
		if err := checkFile(from, newest, path); err != nil {
			return leaves, err
		}
	}
	return leaves, nil
}

// hashes are those of a tile, once it has led to the root.
func hashes(from stored, newest *Checkpoint, tile tlog.Tile) ([]tlog.Hash, error) {
	indexes := make([]int64, tile.W)
	for at := range indexes {
		indexes[at] = tlog.StoredHashIndex(height*tile.L, tile.N*width+int64(at))
	}
	return tlog.TileHashReader(newest.Tree, from).ReadHashes(indexes)
}

// checkFile checks one stored file by what the root vouches for.
func checkFile(from stored, newest *Checkpoint, path string) error {
	if path == "checkpoint" {
		return nil
	}
	tile, entries, err := parse(path)
	if err != nil {
		return err
	}
	if !within(tile, newest.Size) {
		return nil
	}
	if entries {
		return checkBundle(from, newest, tile, path)
	}
	known, err := hashes(from, newest, widest(tile, newest.Size))
	if err != nil {
		return err
	}
	// A partial tile of an earlier size: the beginning of the one that is there now.
	bytes, err := from.read(path)
	if err != nil {
		return err
	}
	if len(bytes) != tile.W*tlog.HashSize {
		return fmt.Errorf("%s has %d bytes", path, len(bytes))
	}
	for at := range tile.W {
		if [tlog.HashSize]byte(bytes[at*tlog.HashSize:]) != known[at] {
			return fmt.Errorf("%s: hash %d is not that of the tree", path, at)
		}
	}
	return nil
}

// checkBundle checks that each entry hashes to its leaf, and says the sequence at which it stands.
func checkBundle(from stored, newest *Checkpoint, tile tlog.Tile, path string) error {
	bytes, err := from.read(path)
	if err != nil {
		return err
	}
	known, err := hashes(from, newest, widest(tile, newest.Size))
	if err != nil {
		return err
	}
	for at := range tile.W {
		sequence := tile.N*width + int64(at)
		if len(bytes) < 2 || int(binary.BigEndian.Uint16(bytes)) != leafBytes || len(bytes) < 2+leafBytes {
			return fmt.Errorf("%s: entry %d is not there whole", path, sequence)
		}
		entry := bytes[2 : 2+leafBytes]
		bytes = bytes[2+leafBytes:]
		if tlog.RecordHash(entry) != known[at] {
			return fmt.Errorf("%s: entry %d is not the one in the tree", path, sequence)
		}
		if binary.BigEndian.Uint64(entry[1:]) != uint64(sequence) {
			return fmt.Errorf("%s: entry %d says that it is another: %s", path, sequence, strconv.Quote(string(entry[:9])))
		}
	}
	if len(bytes) != 0 {
		return errors.New(path + " has more than its entries")
	}
	return nil
}
