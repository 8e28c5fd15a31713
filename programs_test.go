package xme_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// buildPrograms builds programs: one to a file, or several to a folder, whose name ends in a separator. A third of linking is what only debuggers read.
func buildPrograms(t *testing.T, to string, pkgs ...string) {
	t.Helper()
	if raced {
		t.Skip("programs are built without the race detector: this says nothing new")
	}
	if out, err := exec.CommandContext(t.Context(), "go", append([]string{"build", "-ldflags=-w", "-o", to}, pkgs...)...).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkgs, err, out)
	}
}

// runProgram builds testdata/programs/name and runs it; it returns what it printed.
func runProgram(t *testing.T, name string, env ...string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	buildPrograms(t, bin, "./testdata/programs/"+name)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin)
	cmd.Env = append(os.Environ(), env...)
	out, _ := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("the program hangs; it printed:\n%s", out)
	}
	return string(out)
}

func wantText(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("printed:\n%s\nwant %q in it", out, text)
		}
	}
}

// starts counts how many processes of a program wrote to its STARTS file.
func starts(t *testing.T, file string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "start\n")
}

// A program without Init must start nothing: its workers would start workers.
// feature: S1
func TestForgottenInit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "starts")
	out := runProgram(t, "forgot", "STARTS="+file)
	wantText(t, out, "Open before Init", "make xme.Init() the first statement of main")
	if n := starts(t, file); n != 1 {
		t.Errorf("%d processes ran main, want the driver alone", n)
	}
}

// Workers that miss Init run main, but start nothing themselves, and the driver's
// error says what to write.
// feature: S1
func TestInitMissedByWorkers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "starts")
	out := runProgram(t, "skipped", "STARTS="+file)
	wantText(t, out, "it ended before xme.Init served it", "first statement of main")
	// The driver, and its two workers: Open gives up at the first that ends, and
	// others may have been started again by then.
	if n := starts(t, file); n < 2 || n > 1+2*3 {
		t.Errorf("%d processes ran main, want the driver and its workers", n)
	}
}

// feature: S1
func TestDuplicateName(t *testing.T) {
	t.Parallel()
	out := runProgram(t, "duplicate")
	wantText(t, out, "main.same is registered already", "main.go:11", "main.go:12", "give one of them another name")
}

// feature: U2
func TestRegisterAfterInit(t *testing.T) {
	t.Parallel()
	out := runProgram(t, "late")
	wantText(t, out, `Register("local")`, "main.go:13", "register at package level", "a local function or closure cannot cross")
}

// feature: U2
func TestFunctionTablesDiffer(t *testing.T) {
	t.Parallel()
	out := runProgram(t, "skew", "SOMETIMES=yes")
	wantText(t, out, "main.always", "function tables differ", "only in the driver: main.sometimes", "register every function at package level")
}
