package xme_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
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
