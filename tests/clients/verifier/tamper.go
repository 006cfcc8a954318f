package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"time"
)

// mutation is a way to change a file; nil for a file that is gone.
type mutation struct {
	name   string
	change func(random *rand.Rand, log *Log, path string, file []byte) []byte
}

// recordBytes is what stands in a file again and again.
func recordBytes(path string) int {
	_, entries, err := parse(path)
	switch {
	case err != nil:
		return 1
	case entries:
		return 2 + leafBytes
	default:
		return 32
	}
}

var mutations = []mutation{
	{"a bit is turned", func(random *rand.Rand, _ *Log, _ string, file []byte) []byte {
		file[random.Intn(len(file))] ^= 1 << random.Intn(8)
		return file
	}},
	{"a byte is another", func(random *rand.Rand, _ *Log, _ string, file []byte) []byte {
		file[random.Intn(len(file))] = byte(random.Intn(256))
		return file
	}},
	{"the end is missing", func(random *rand.Rand, _ *Log, _ string, file []byte) []byte {
		return file[:random.Intn(len(file))]
	}},
	{"the last record is missing", func(_ *rand.Rand, _ *Log, path string, file []byte) []byte {
		return file[:len(file)-recordBytes(path)]
	}},
	{"there is more at the end", func(random *rand.Rand, _ *Log, path string, file []byte) []byte {
		more := file[:min(len(file), recordBytes(path))]
		if random.Intn(2) == 0 {
			more = []byte{byte(random.Intn(256))}
		}
		return append(file, more...)
	}},
	{"two records have changed places", func(random *rand.Rand, _ *Log, path string, file []byte) []byte {
		size := recordBytes(path)
		one, other := random.Intn(len(file)/size)*size, random.Intn(len(file)/size)*size
		first := slices.Clone(file[one : one+size])
		copy(file[one:], file[other:other+size])
		copy(file[other:], first)
		return file
	}},
	{"a record is there twice, in the place of another", func(random *rand.Rand, _ *Log, path string, file []byte) []byte {
		size := recordBytes(path)
		one, other := random.Intn(len(file)/size)*size, random.Intn(len(file)/size)*size
		copy(file[one:one+size], file[other:other+size])
		return file
	}},
	{"another file lies in its place", func(random *rand.Rand, log *Log, _ string, _ []byte) []byte {
		paths := log.paths()
		return slices.Clone(log.files[paths[random.Intn(len(paths))]])
	}},
	{"it is gone", func(_ *rand.Rand, _ *Log, _ string, _ []byte) []byte { return nil }},
	{"an older checkpoint lies in its place", func(random *rand.Rand, log *Log, path string, file []byte) []byte {
		if path != "checkpoint" || len(log.notes) == 0 {
			return file
		}
		return slices.Clone(log.notes[random.Intn(len(log.notes))])
	}},
}

func (l *Log) paths() []string {
	paths := make([]string, 0, len(l.files))
	for path := range l.files {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// recheck verifies what a change of one file can touch, by the code that verified it at first.
func (l *Log) recheck(from stored, before *Checkpoint) error {
	if from.changed != "checkpoint" {
		return checkFile(from, before, from.changed)
	}
	newest, err := l.newest(from)
	if err != nil {
		return err
	}
	if err := l.checkSeen(from, newest); err != nil {
		return err
	}
	// It verifies by itself, and says less than is known: fewer vouch, or it is older than what was seen.
	if newest.Tree != before.Tree {
		return errors.New("it is not the one that was seen")
	}
	if !slices.Equal(newest.Vouchers, before.Vouchers) {
		return fmt.Errorf("others vouch: %v", newest.Vouchers)
	}
	return nil
}

// Tamper changes a stored file at random, verifies again, and puts it back, `count` times. It fails at the first change
// that is not found.
func Tamper(log *Log, newest *Checkpoint, count int, seed int64, until time.Time) (int, error) {
	random := rand.New(rand.NewSource(seed))
	var paths []string
	for _, path := range log.paths() {
		if tile, _, err := parse(path); path == "checkpoint" || (err == nil && within(tile, newest.Size)) {
			paths = append(paths, path)
		}
	}
	found := 0
	for found < count {
		if time.Now().After(until) {
			return found, fmt.Errorf("the time was up after %d of %d", found, count)
		}
		path := paths[random.Intn(len(paths))]
		// One file among hundreds, and the one that an attacker would begin with.
		if random.Intn(20) == 0 {
			path = "checkpoint"
		}
		file := log.files[path]
		mutation := mutations[random.Intn(len(mutations))]
		changed := mutation.change(random, log, path, slices.Clone(file))
		if changed != nil && bytes.Equal(changed, file) {
			continue
		}
		if err := log.recheck(stored{log.files, path, changed}, newest); err == nil {
			return found, fmt.Errorf("change %d was not found: %s, %s", found, path, mutation.name)
		}
		found++
	}
	return found, nil
}
