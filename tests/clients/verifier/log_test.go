package main

import "testing"

func TestUnfinished(t *testing.T) {
	for name, expected := range map[string]bool{
		"tile/entries/000.p/22#1":  true,
		"tile/0/x001/234#17":       true,
		"tile/entries/000.p/22":    false,
		"tile/entries/000.p/22#":   false,
		"tile/entries/000.p#1/22":  false,
		"tile/entries/000.p/22#1a": false,
	} {
		if unfinished.MatchString(name) != expected {
			t.Errorf("%s: expected %t", name, expected)
		}
		if _, _, err := parse(name); expected && err == nil {
			t.Errorf("%s could be of a log", name)
		}
	}
}
