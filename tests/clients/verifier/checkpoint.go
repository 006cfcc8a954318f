package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The kinds of keys, as c2sp.org/signed-note numbers them.
const (
	kindEd25519     = 1
	kindCosignature = 4
)

// Checkpoint is one that was believed: the size and the root of the tree, and who vouches for them.
type Checkpoint struct {
	Tree     tlog.Tree
	Size     int64
	Vouchers []string
	Cosigned int
}

// Keys are those of a log and of its cosigners.
type Keys struct {
	origin string
	all    []note.Verifier
	// How many of them are cosigners'.
	cosigners int
	// Of the log's keys that signed before: by their ids, until how many entries.
	until map[uint32]int64
}

// cosigner verifies c2sp.org/tlog-cosignature, version 1: Ed25519 over a time and the text.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(sig)
	if seconds > 1<<63-1 {
		return false
	}
	signed := fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, msg)
	return ed25519.Verify(c.key, []byte(signed), sig[8:])
}

// newCosigner reads a key `name+hash+base64(4 || public key)`, which note.NewVerifier does not know.
func newCosigner(text string) (*cosigner, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("a key has three parts")
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	if len(key) != 1+ed25519.PublicKeySize || key[0] != kindCosignature {
		return nil, errors.New("no key of a cosigner")
	}
	expected := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if binary.BigEndian.Uint32(expected[:]) != uint32(hash) {
		return nil, errors.New("the hash of a key is not its own")
	}
	return &cosigner{parts[0], uint32(hash), ed25519.PublicKey(key[1:])}, nil
}

// ReadKeys reads verifier keys, one a line: the log's own first. One that signed before has ` until N` behind it.
func ReadKeys(text string) (*Keys, error) {
	keys := &Keys{until: map[uint32]int64{}}
	for at, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if at == 0 {
			log, err := note.NewVerifier(line)
			if err != nil {
				return nil, fmt.Errorf("the key of the log: %w", err)
			}
			keys.origin = log.Name()
			keys.all = append(keys.all, log)
			continue
		}
		if before, until, ok := strings.Cut(line, " until "); ok {
			log, err := note.NewVerifier(before)
			if err != nil || log.Name() != keys.origin || log.KeyHash() == keys.all[0].KeyHash() {
				return nil, fmt.Errorf("the key in line %d is none of the log before: %v", at+1, err)
			}
			size, err := strconv.ParseInt(until, 10, 64)
			if err != nil || size < 0 || strconv.FormatInt(size, 10) != until {
				return nil, fmt.Errorf("until how many entries, in line %d: %s", at+1, until)
			}
			keys.until[log.KeyHash()] = size
			keys.all = append(keys.all, log)
			continue
		}
		key, err := newCosigner(line)
		if err != nil {
			return nil, fmt.Errorf("the key in line %d: %w", at+1, err)
		}
		keys.all = append(keys.all, key)
		keys.cosigners++
	}
	return keys, nil
}

// Read believes a checkpoint that the log has signed, that has no line of a stranger, and no line twice.
func (k *Keys) Read(msg []byte) (*Checkpoint, error) {
	opened, err := note.Open(msg, note.VerifierList(k.all...))
	if err != nil {
		return nil, err
	}
	if len(opened.UnverifiedSigs) > 0 {
		return nil, fmt.Errorf("somebody unknown has signed: %s", opened.UnverifiedSigs[0].Name)
	}
	written := opened.Text + "\n"
	checkpoint := &Checkpoint{}
	for _, signature := range opened.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(signature.Base64); err != nil {
			return nil, err
		}
		written += "— " + signature.Name + " " + signature.Base64 + "\n"
		checkpoint.Vouchers = append(checkpoint.Vouchers, signature.Name)
		if signature.Name != k.origin {
			checkpoint.Cosigned++
		}
	}
	if written != string(msg) {
		return nil, errors.New("a checkpoint with more in it than text and signatures")
	}
	if checkpoint.Cosigned == len(opened.Sigs) {
		return nil, errors.New("the log itself has not signed")
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != k.origin || lines[3] != "" {
		return nil, fmt.Errorf("expected three lines, the first of them %s", k.origin)
	}
	checkpoint.Size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(checkpoint.Size, 10) != lines[1] || checkpoint.Size < 0 {
		return nil, fmt.Errorf("a size that is none: %s", lines[1])
	}
	hash, err := tlog.ParseHash(lines[2])
	if err != nil || hash.String() != lines[2] {
		return nil, fmt.Errorf("a root that is none: %s", lines[2])
	}
	for _, signature := range opened.Sigs {
		until, before := k.until[signature.Hash]
		if before && signature.Name == k.origin && checkpoint.Size > until {
			return nil, fmt.Errorf("%d entries, signed by a key that handed the log over at %d", checkpoint.Size, until)
		}
	}
	checkpoint.Tree = tlog.Tree{N: checkpoint.Size, Hash: hash}
	return checkpoint, nil
}
