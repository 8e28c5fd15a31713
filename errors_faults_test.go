package xme_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

var quit = xme.Register("errors.quit", func(ctx context.Context, _ int) (int, error) {
	if err := exec.CommandContext(ctx, "sh", "-c", "kill -QUIT $PPID").Run(); err != nil {
		return 0, err
	}
	select {}
})

var wraps = xme.Register("errors.wraps", func(ctx context.Context, n int) (int, error) {
	if _, err := speak.Call(ctx, xme.Current(ctx), n); err != nil {
		return 0, fmt.Errorf("stage two: %w", err)
	}
	return n, nil
})

// A worker that somebody sends SIGQUIT says so.
//
// feature: S12
func TestSomebodysQuit(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	_, err := quit.Call(t.Context(), xmetest.Open(t, xme.Options{Workers: 1}), 0)
	var e *xme.Error
	if !errors.As(err, &e) || !strings.HasSuffix(e.Help(), "#signal") || !strings.Contains(fmt.Sprintf("%+v", e), "somebody sent SIGQUIT") {
		t.Errorf("%+v", err)
	}
}

// The error of a nested call keeps what its worker said last, wrapped or not.
//
// feature: S12
func TestWrappedNestedError(t *testing.T) {
	t.Parallel()
	_, err := wraps.Call(t.Context(), xmetest.Open(t, xme.Options{Workers: 1}), 2)
	var e *xme.Error
	if !errors.As(err, &e) || !strings.Contains(e.Output, "no end 2") || !strings.HasSuffix(e.Help(), "#exit") || !strings.Contains(e.Error(), "stage two: ") {
		t.Errorf("%+v", err)
	}
}

// A block begins what it shows of the race detector's report where that begins, and nothing that an error is made of
// from outside drives a terminal.
//
// feature: S12
func TestBlockFromOutside(t *testing.T) {
	t.Parallel()
	report := "==================\nWARNING: DATA RACE\nWrite at 0x1 by goroutine 7:\n  main.users()\n" + strings.Repeat("  an engine's frame\n", 50) + "Found 1 data race(s)\n"
	block := fmt.Sprintf("%+v", &xme.Error{Func: "f", Row: -1, Cause: xme.CauseLost, ExitCode: 66, Output: "before\n" + report})
	if !strings.Contains(block, "main.users()") || strings.Contains(block, "before") {
		t.Error(block)
	}
	var e xme.Error
	const forged = `{"func":"f","cause":"panic","message":"m","help":"https://github.com/xenonmp/xme/blob/main/docs/causes.md#\u001b[31mred\nxme: forged","earlier":["a\nxme: forged"]}`
	if err := json.Unmarshal([]byte(forged), &e); err != nil {
		t.Fatal(err)
	}
	if block := fmt.Sprintf("%+v", &e); strings.Contains(block, "\x1b") || strings.Contains(block, "\nxme: forged") || !strings.HasSuffix(block, "#panic") {
		t.Errorf("%q", block)
	}
}

// goexitError is an error, and a value to panic with, one of whose methods ends the goroutine.
type goexitError struct{ method string }

func (e goexitError) on(method string) {
	if e.method == method {
		runtime.Goexit()
	}
}

func (e goexitError) Error() string   { e.on("Error"); return "on purpose" }
func (e goexitError) Is(error) bool   { e.on("Is"); return false }
func (e goexitError) Unwrap() error   { e.on("Unwrap"); return nil }
func (e goexitError) Addr() uintptr   { e.on("Addr"); return 0 }
func (e goexitError) isPanic() string { return strings.TrimPrefix(e.method, "panic ") }

// endsIn returns such an error, panics with one, or returns the worker's pid.
var endsIn = xme.Register("errors.endsIn", func(_ context.Context, method string) (int, error) {
	switch e := (goexitError{method}); {
	case method == "":
		return os.Getpid(), nil
	case e.isPanic() != method:
		panic(goexitError{e.isPanic()})
	default:
		return 0, e
	}
})

// An error that ends the goroutine of whoever asks it ends its row, as a function that does so itself, and not its worker.
//
// feature: S12
func TestErrorEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) xme.Executor{
		"lanes":      func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 1}) },
		"socket":     func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 1, Link: xme.LinkSocket}) },
		"in process": func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: 1}) },
		"inline":     func(*testing.T) xme.Executor { return xme.Inline() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			on := open(t)
			pid, err := endsIn.Call(ctx, on, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, method := range []string{"Error", "Unwrap", "Is", "panic Error", "panic Is", "panic Addr"} {
				if name == "inline" && strings.HasSuffix(method, "Is") {
					continue // nobody has asked it
				}
				_, err := endsIn.Call(ctx, on, method)
				var e *xme.Error
				if !errors.As(err, &e) || !errors.Is(err, xme.ErrPanic) || !strings.Contains(e.Message, "runtime.Goexit") || !strings.HasSuffix(e.Help(), "#goexit") {
					t.Errorf("%s: %v", method, err)
				}
				if again, err := endsIn.Call(ctx, on, ""); again != pid || err != nil {
					t.Errorf("after %s: process %d, %v; it was %d", method, again, err, pid)
				}
			}
		})
	}
}

// A leaver ends the goroutine that encodes it.
type leaver struct{ N int }

func (leaver) MarshalBinary() ([]byte, error) { runtime.Goexit(); return nil, nil }
func (*leaver) UnmarshalBinary([]byte) error  { return nil }

var takesLeaver = xme.Register("errors.takesLeaver", func(context.Context, leaver) (int, error) { return 0, nil })

// A method of the arguments' that ends its goroutine is told from an input that does.
//
// feature: F1
func TestGoexitWhileEncoding(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "encodes a row's arguments") {
			t.Errorf("it panicked with %s", text)
		}
	}()
	for n, err := range takesLeaver.Map(t.Context(), pool, slices.Values([]leaver{{1}})) {
		t.Errorf("a row ended: %d, %v", n, err)
	}
}
