package xme_test

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xenonmp/xme"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text, what varies in it replaced, with testdata/golden/name.txt.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = steady(t, got) + "\n"
	file := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test -update writes it", err)
	}
	if got != string(want) {
		t.Errorf("not as in %s, which go test -update writes anew; -want +got:\n%s", file, cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")))
	}
}

// varying is what differs from run to run, from machine to machine, or with the release of Go, and what stands for it.
// The line numbers of tests and programs stay: they are what a reader looks for.
var varying = []struct {
	is    *regexp.Regexp
	stand string
}{
	{regexp.MustCompile(`pid \d+`), "pid PID"},
	{regexp.MustCompile(`(?m)^(    \S+.*)\((?:\.\.\.|[^()]*0x[^()]*|)\)$`), "$1(…)"}, // arguments
	{regexp.MustCompile(` \+0x[0-9a-f]+`), ""},
	{regexp.MustCompile(`0x[0-9a-f]+`), "0xN"},
	{regexp.MustCompile(`goroutine \d+`), "goroutine N"},
	{regexp.MustCompile(`(?m)^  used: .*\n`), ""}, // not always known
	{regexp.MustCompile(`\[(?:runnable|running)\]`), "[running]"},
	{regexp.MustCompile(`it used \d+ MiB`), "it used N MiB"},
	{regexp.MustCompile(`\(\d+ goroutines of`), "(N goroutines of"},
	{regexp.MustCompile(`\.\.\.\d+ frames elided`), "...N frames elided"},
	{regexp.MustCompile(`the same \d+ times`), "the same N times"},
	{regexp.MustCompile(`(GOROOT/[^:\s]*):\d+`), "$1:L"},
	{regexp.MustCompile(`(ROOT/[a-z]*\.go):\d+`), "$1:L"}, // the engine's own
	{regexp.MustCompile(`\b[0-9a-f]{16}\b`), "HASH"},      // of builds and function tables
}

// steady replaces what varies.
func steady(t *testing.T, text string) string {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, root, "ROOT")
	text = strings.ReplaceAll(text, "(at "+filepath.Base(root)+"/", "(at ROOT/")
	text = strings.ReplaceAll(text, runtime.GOROOT(), "GOROOT") //nolint:staticcheck // of the Go that builds the tests
	for _, v := range varying {
		text = v.is.ReplaceAllString(text, v.stand)
	}
	return text
}

// quiet is the options of a pool whose workers' crashes are in their errors: once is enough. Without spares ranks and
// processes are the same in every run.
func quiet(o xme.Options) xme.Options {
	o.Workers, o.Spares = max(o.Workers, 1), -1
	o.Stdout, o.Stderr = io.Discard, io.Discard
	if o.Grace == 0 {
		o.Grace = 50 * time.Millisecond
	}
	return o
}
