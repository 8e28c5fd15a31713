package main

import (
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	xmetest.Main(m)
}

// Each call that main makes while ranks die ends once, with what is its own, and nothing
// hangs or is left.
//
// feature: P3, P4, P5, P6, P7, P8, F2, F3
func TestCalls(t *testing.T) {
	c := config{n: 4000, seed: 11}
	if !long.Wanted() {
		c.n = 800
	}
	var out strings.Builder
	if !soak(c, rounds, &out) {
		t.Error("it found:")
	}
	t.Log(out.String())
}

// Collectives and messages of ranks of which one dies are right until then, and end with an error
// that names it; Spawn returns, and nothing is left.
//
// feature: P9
func TestRanks(t *testing.T) {
	c := config{n: 20_000, seed: 21}
	if !long.Wanted() {
		c.n = 4000
	}
	var out strings.Builder
	if !soak(c, spawns, &out) {
		t.Error("it found:")
	}
	t.Log(out.String())
}
