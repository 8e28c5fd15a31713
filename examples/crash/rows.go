package main

import (
	"strings"
	"time"

	"github.com/xenonmp/xme"
)

// rows is the table, top to bottom: what live does, and under which options.
var rows = []struct {
	name, how string
	with      []xme.CallOption
}{
	{"work", "work", nil},
	{"wild", "wild", nil},
	{"work", "work", nil},
	{"exit", "exit", nil},
	{"ring", "ring", nil},
	{"goroutine", "goroutine", nil},
	{"maps", "maps", nil},
	{"work", "work", nil},
	{"loop", "loop", briefly},
	{"asleep", "asleep", briefly},
	{"hoard", "hoard", []xme.CallOption{xme.Memory(128 << 20)}},
	{"kill", "kill", nil},
	{"work", "work", nil},
	{"panic", "panic", nil},
	{"goexit", "goexit", nil},
	{"error", "error", nil},
	{"known", "known", nil},
	{"retried", "error", []xme.CallOption{xme.Retries(2)}},
	{"set aside", "exit", []xme.CallOption{xme.Retries(9)}},
	{"nested", "call panic", nil},
	{"depth", "deep", nil},
	{"encode", strings.Repeat("long ", 1<<14), nil},
	{"unsupported", "work", []xme.CallOption{xme.On(99)}},
	{"work", "work", nil},
}

var briefly = []xme.CallOption{xme.Timeout(300 * time.Millisecond)}
