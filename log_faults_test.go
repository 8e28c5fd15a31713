package xme_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/xmelog"
	"github.com/xenonmp/xme/xmetest"
)

var logFault = xme.Register("log.fault", func(ctx context.Context, how string) (int, error) {
	l := xme.Logger(ctx)
	switch how {
	case "fatal":
		log.Fatal("the reason why") //nolint:forbidigo // what becomes of it is tested
	case "indent":
		l.Info("deep", xmelog.Indent(1<<62), xmelog.Type(strings.Repeat("t", 60_000)))
		l.Info(strings.Repeat("\n", 20_000), xmelog.Indent(1<<28))
	case "groups":
		attrs := make([]any, 0, 6000)
		for i := range 3000 {
			attrs = append(attrs, fmt.Sprint("k", i), i)
		}
		l.Info("wide", slog.Group(strings.Repeat("g", 300<<10), attrs...))
		deep := slog.Int("k", 1)
		for range 12_000 {
			deep = slog.Group("g", deep)
		}
		l.Info("nested", deep)
	case "levels":
		for _, level := range []slog.Level{-100, -12, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
			l.Log(ctx, level, "level")
		}
	case "derived":
		own, err := xmelog.With(l, func(o *xmelog.Options) { o.Level = slog.LevelDebug })
		if err != nil {
			return 0, err
		}
		own.Debug("derived")
	case "files":
		dir, err := os.MkdirTemp("", "xme-logs")
		if err != nil {
			return 0, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		for i := range 500 {
			own, err := xmelog.With(l, func(o *xmelog.Options) { o.File = filepath.Join(dir, fmt.Sprint(i)) })
			if err != nil {
				return 0, err
			}
			own.Info("mine")
			if text, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i))); err != nil || !strings.HasSuffix(string(text), ":mine\n") {
				return 0, fmt.Errorf("file %d has %q: %w", i, text, err)
			}
		}
		open, err := os.ReadDir("/proc/self/fd")
		return len(open), err
	case "many":
		for range 300 {
			l.Info("one of many")
		}
	}
	return 0, nil
})

// The last words of package log before it ends its process are in its row's error, whatever is shown.
//
// feature: L3, S12
func TestLastWords(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]xme.Options{
		"no screen": {NoScreen: true}, "no log": {NoLog: true}, "level": {Log: xmelog.Options{Level: slog.LevelWarn}},
		"handler": {LogHandler: slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out lines
			o.Workers, o.Spares, o.Stderr = 1, -1, &out
			_, err := logFault.Call(t.Context(), xmetest.Open(t, o), "fatal")
			var e *xme.Error
			if !errors.As(err, &e) || e.ExitCode != 1 || !strings.HasSuffix(strings.TrimSpace(e.Output), "the reason why") {
				t.Errorf("%+v", err)
			}
			if out.String() != "" {
				t.Errorf("shown: %s", &out)
			}
		})
	}
}

// A record cannot become much more than it is.
//
// feature: L3
func TestNoRecordGrows(t *testing.T) {
	t.Parallel()
	var out lines
	pool := xmetest.Open(t, xme.Options{Workers: 1, Spares: -1, Stderr: &out})
	for _, how := range []string{"indent", "groups"} {
		if _, err := logFault.Call(t.Context(), pool, how); err != nil {
			t.Fatal(err)
		}
	}
	_ = pool.Close()
	got := out.String()
	for _, want := range []string{"deep\n", " bytes more)\n", ":wide ", " …\n", ":nested "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the %d bytes", want, len(got))
		}
	}
	if len(got) > 5<<20 {
		t.Errorf("%d bytes were written", len(got))
	}
}

// Levels: of lines by Options.Log, of another handler by itself, of a derived logger by its own; NoLog is above all.
//
// feature: L2, S2
func TestLogLevels(t *testing.T) {
	t.Parallel()
	all := &slog.HandlerOptions{Level: slog.Level(-200)}
	for name, tc := range map[string]struct {
		o              xme.Options
		how            string
		lines, handled int
	}{
		"default":          {xme.Options{}, "levels", 2, 0},
		"debug":            {xme.Options{Log: xmelog.Options{Level: slog.LevelDebug}}, "levels", 3, 0},
		"handler, all":     {xme.Options{LogHandler: slog.NewTextHandler(nil, all)}, "levels", 0, 5},
		"handler and file": {xme.Options{LogHandler: slog.NewTextHandler(nil, all), Log: xmelog.Options{Level: slog.LevelWarn, File: "x"}}, "levels", 1, 5},
		"file below":       {xme.Options{LogHandler: slog.NewTextHandler(nil, nil), Log: xmelog.Options{Level: slog.LevelDebug, File: "x"}}, "levels", 3, 2},
		"derived":          {xme.Options{}, "derived", 1, 0},
		"derived, no log":  {xme.Options{NoLog: true}, "derived", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, handled lines
			file := filepath.Join(t.TempDir(), "log")
			tc.o.Workers, tc.o.Spares, tc.o.Stderr = 1, -1, &out
			if tc.o.LogHandler != nil {
				level := slog.LevelInfo
				if tc.o.LogHandler.Enabled(t.Context(), -100) {
					level = -200
				}
				tc.o.LogHandler = slog.NewTextHandler(&handled, &slog.HandlerOptions{Level: level})
			}
			if tc.o.Log.File != "" {
				tc.o.Log.File = file
			}
			pool := xmetest.Open(t, tc.o)
			if _, err := logFault.Call(t.Context(), pool, tc.how); err != nil {
				t.Fatal(err)
			}
			_ = pool.Close()
			text := out.String()
			if tc.o.Log.File != "" {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				text = string(b)
			}
			if n := strings.Count(text, "\n"); n != tc.lines {
				t.Errorf("%d lines, want %d:\n%s", n, tc.lines, text)
			}
			if n := strings.Count(handled.String(), "\n"); n != tc.handled {
				t.Errorf("%d handled, want %d:\n%s", n, tc.handled, &handled)
			}
		})
	}
}

// slowHandler takes its time for each record, panics at the second, and notices what comes after the end.
type slowHandler struct {
	slog.Handler
	n     atomic.Int64
	ended atomic.Bool
	late  atomic.Bool
}

func (h *slowHandler) Handle(context.Context, slog.Record) error {
	if h.ended.Load() {
		h.late.Store(true)
	}
	if h.n.Add(1) == 2 {
		panic("the second")
	}
	<-time.After(5 * time.Millisecond)
	return nil
}

func (h *slowHandler) Enabled(context.Context, slog.Level) bool { return true }

// A handler that is slow is not one that blocks: Close waits for it, and nothing is handled afterwards. One that panics
// loses what it was given.
//
// feature: L3
func TestSlowHandler(t *testing.T) {
	t.Parallel()
	h := &slowHandler{}
	pool := xmetest.Open(t, xme.Options{Workers: 1, Spares: -1, LogHandler: h})
	if _, err := logFault.Call(t.Context(), pool, "many"); err != nil {
		t.Fatal(err)
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
	h.ended.Store(true)
	if n := h.n.Load(); n != 300 || h.late.Load() {
		t.Errorf("%d records were handled, want 300; later: %v", n, h.late.Load())
	}
}

// Close says what an output that blocks has not taken.
//
// feature: L3
func TestCloseTellsOfLoss(t *testing.T) {
	t.Parallel()
	out := &blocked{free: make(chan struct{})}
	defer close(out.free)
	pool := xmetest.Open(t, xme.Options{Workers: 1, Spares: -1, Stderr: out})
	if _, err := logFault.Call(t.Context(), pool, "many"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := pool.Close(); err == nil || !strings.Contains(err.Error(), "lines or log records of workers were not written") {
			t.Errorf("Close: %v", err)
		}
	}
}

// Many loggers with files of their own hold few of them open, and write to them whatever else is switched off.
//
// feature: L2
func TestManyLogFiles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("it counts descriptors in /proc")
	}
	for _, o := range []xme.Options{{NoScreen: true}, {NoLog: true}, {Log: xmelog.Options{Level: slog.LevelInfo}, Stderr: io.Discard}} {
		o.Workers, o.Spares = 1, -1
		n, err := logFault.Call(t.Context(), xmetest.Open(t, o), "files")
		if err != nil || n > 120 {
			t.Errorf("%d descriptors are open, %v", n, err)
		}
	}
}

// Standard output and error that lead to one pipe get whole lines, however much comes.
//
// feature: L3
func TestOnePipeForBoth(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), os.O_WRONLY, 0)
	if err != nil {
		_, _ = r.Close(), w.Close()
		t.Skip("it opens a pipe again through /proc: ", err)
	}
	var got bytes.Buffer
	var read sync.WaitGroup
	read.Go(func() { _, _ = io.Copy(&got, r) })
	pool := xmetest.Open(t, xme.Options{Workers: 2, Stdout: w, Stderr: again, Log: xmelog.Options{NoTime: true, NoPID: true}})
	each := 300
	if !long.Wanted() {
		each = 60
	}
	for _, err := range logMuch.Map(t.Context(), pool, xme.Repeat(4, each)) {
		if err != nil {
			t.Error(err)
		}
	}
	_ = pool.Close()
	_, _ = w.Close(), again.Close()
	read.Wait()
	_ = r.Close()
	n := 0
	for line := range strings.Lines(got.String()) {
		var kind, rest string
		var i int
		if _, err := fmt.Sscanf(line, "%s %d %s\n", &kind, &i, &rest); err != nil || len(rest) != 4000 {
			t.Fatalf("a torn line: %.100q: %v", line, err)
		}
		n++
	}
	if n != 4*2*each {
		t.Errorf("%d lines", n)
	}
}
