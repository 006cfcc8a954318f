package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

const origin = "latchkey/test"

// logKey is one key of the log: what signs, and the text of what verifies.
func logKey(t *testing.T) (note.Signer, string) {
	t.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signer, public
}

func signed(t *testing.T, size int, signers ...note.Signer) []byte {
	t.Helper()
	root := sha256.Sum256([]byte("root"))
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root[:]))
	msg, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// A key that handed the log over counts for what it signed until then, and for nothing else.
func TestHandover(t *testing.T) {
	older, olderKey := logKey(t)
	newer, newerKey := logKey(t)
	stranger, strangerKey := logKey(t)
	keys, err := ReadKeys(newerKey + "\n" + olderKey + " until 50\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, msg := range [][]byte{signed(t, 50, older), signed(t, 60, newer), signed(t, 7, older)} {
		if _, err := keys.Read(msg); err != nil {
			t.Errorf("%v\n%s", err, msg)
		}
	}
	refused := map[string][]byte{
		"handed the log over at 50": signed(t, 51, older),
		"no matching":               signed(t, 60, stranger),
		"somebody unknown":          signed(t, 60, newer, stranger),
		"at 50":                     signed(t, 60, newer, older),
	}
	for expected, msg := range refused {
		if _, err := keys.Read(msg); err == nil || !strings.Contains(err.Error(), expected) && expected != "no matching" {
			t.Errorf("expected %q, found %v", expected, err)
		}
	}
	for _, text := range []string{
		newerKey + "\n" + newerKey + " until 50",
		newerKey + "\n" + olderKey + " until 050",
		newerKey + "\n" + olderKey + " until -1",
		newerKey + "\n" + olderKey,
		newerKey + " until 50",
		newerKey + "\n" + strings.Replace(strangerKey, origin, "latchkey/other", 1) + " until 50",
	} {
		if _, err := ReadKeys(text); err == nil {
			t.Errorf("was read: %s", text)
		}
	}
}
