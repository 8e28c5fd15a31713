package xme_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmelog"
	"github.com/xenonmp/xme/xmetest"
)

// What a task says in logTask.
type saying struct {
	Text string
	File string // not empty: by a logger of its own, to this file besides
}

var logTask = xme.Register("log.say", func(ctx context.Context, s saying) (int, error) {
	l := xme.Logger(ctx)
	if s.File != "" {
		own, err := xmelog.With(l.With("a", 1), func(o *xmelog.Options) {
			o.File, o.NoTime, o.Unit, o.Width, o.Task = s.File, true, ">", 2, true
		})
		if err != nil {
			return 0, err
		}
		own.Info(s.Text, xmelog.Indent(1))
	}
	l.Info(s.Text, "k", "v w")
	return os.Getpid(), nil
})

var logInGroup = xme.Register("log.inGroup", func(ctx context.Context, file string) (int, error) {
	own, err := xmelog.With(xme.Logger(ctx).With("z", 0), func(o *xmelog.Options) { o.File, o.NoTime, o.Task = file, true, true })
	if err != nil {
		return 0, err
	}
	own.WithGroup("g").With("a", 1).WithGroup("h").Info("hello", "k", "v w")
	return os.Getpid(), nil
})

// What tells the task is of no group, on the screen as in a file.
//
// feature: L2, L3
func TestLogOfATaskInAGroup(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "own.log")
	var out lines
	pool := xmetest.Open(t, xme.Options{Workers: 1, Stdout: &out, Stderr: &out})
	pid, err := logInGroup.Call(t.Context(), pool, file)
	if err != nil {
		t.Fatal(err)
	}
	_ = pool.Close()
	want := fmt.Sprintf(`.*\(pid@%d\):hello z=0 g.a=1 g.h.k="v w" func=github.com/xenonmp/xme_test.log.inGroup rank=1`, pid)
	wantLines(t, out.String(), want)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, string(text), want)
}

// wantLines compares lines with regular expressions, one for each whole line, in any order: prints and records of one
// worker have none.
func wantLines(t *testing.T, out string, want ...string) {
	t.Helper()
	got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	left := slices.Clone(got)
	for _, w := range want {
		line := regexp.MustCompile("^(?:" + w + ")$")
		if i := slices.IndexFunc(left, line.MatchString); i >= 0 {
			left = slices.Delete(left, i, i+1)
		}
	}
	if len(got) != len(want) || len(left) > 0 {
		t.Errorf("lines:\n%s\nwant:\n%s", out, strings.Join(want, "\n"))
	}
}

const stamp = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`

// Every task has a logger whose lines have the form, whatever runs it: a worker, its set-up, a service, a worker in
// this process.
//
// feature: L1
func TestLogger(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB, xme.Options) *xme.Pool{"processes": xmetest.Open, "in process": xmetest.OpenInProcess} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out lines
			pool := open(t, xme.Options{Workers: 1, Spares: -1, Stderr: &out, Setup: logTask.Setup(saying{Text: "set up"})})
			pid, err := logTask.Call(t.Context(), pool, saying{Text: "This is function fun"})
			if err != nil {
				t.Fatal(err)
			}
			other, err := logTask.With(xme.Service()).Call(t.Context(), pool, saying{Text: "service"})
			if err != nil {
				t.Fatal(err)
			}
			_ = pool.Close()
			wantLines(t, out.String(),
				fmt.Sprintf(stamp+`\(pid@%d\):set up k="v w"`, pid),
				fmt.Sprintf(stamp+`\(pid@%d\):This is function fun k="v w"`, pid),
				fmt.Sprintf(stamp+`\(pid@%d\):set up k="v w"`, other),
				fmt.Sprintf(stamp+`\(pid@%d\):service k="v w"`, other))
		})
	}
}

// logAll logs a value of each kind, in groups, and what package log and slog.Default take.
var logAll = xme.Register("log.all", func(ctx context.Context, _ int) (int, error) {
	l := xme.Logger(ctx).With("a", 1, "when", time.Unix(0, 0).UTC()).WithGroup("g").With("b", true)
	l.Warn("all", "i", -1, "u", ^uint64(0), "f", 0.5, "d", time.Second, "s", struct{ X []int }{[]int{1, 2}},
		"e", fmt.Errorf("wrapped: %w", os.ErrNotExist), "n", nil, slog.Group("h", "t", "text"), xmelog.Type("Kind"), "c", make(chan int))
	slog.InfoContext(ctx, "by default")
	log.Print("by package log") //nolint:forbidigo // it goes the same way
	return os.Getpid(), nil
})

// Records reach any other handler with the types and groups of their attributes, their source, and what says which
// task they are of.
//
// feature: L1, L2
func TestLogHandler(t *testing.T) {
	t.Parallel()
	var out lines
	pool := xmetest.Open(t, xme.Options{Workers: 1, Stderr: &out, LogHandler: slog.NewJSONHandler(&out, &slog.HandlerOptions{AddSource: true})})
	var pid int
	for p, err := range logAll.Map(t.Context(), pool, xme.Repeat(2, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		pid = p
	}
	_ = pool.Close()
	var got []map[string]any
	for d := json.NewDecoder(strings.NewReader(out.String())); d.More(); {
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		got = append(got, m)
	}
	if len(got) != 6 {
		t.Fatalf("%d records, want 6:\n%s", len(got), &out)
	}
	source, _ := got[3]["source"].(map[string]any)
	if file, _ := source["file"].(string); !strings.HasSuffix(file, "log_test.go") {
		t.Errorf("source: %v", source)
	}
	for _, m := range got {
		if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(m["time"])); err != nil {
			t.Error(err)
		}
		delete(m, "time")
		delete(m, "source")
	}
	name := modulePath + "_test.log.all"
	task := fmt.Sprintf(`"pid":%d,"func":%q,"rank":1,"row":1`, pid, name)
	for i, want := range []string{
		`{"level":"WARN","msg":"all",` + task + `,"a":1,"when":"1970-01-01T00:00:00Z","g":{"b":true,"i":-1,"u":18446744073709551615,"f":0.5,"d":1000000000,` +
			`"s":{"X":[1,2]},"e":"wrapped: file does not exist","n":null,"h":{"t":"text"},"type":"Kind","c":"!"}}`,
		`{"level":"INFO","msg":"by default",` + task + `}`,
		fmt.Sprintf(`{"level":"INFO","msg":"by package log","pid":%d}`, pid),
	} {
		m := got[3+i]
		if g, ok := m["g"].(map[string]any); ok {
			if c, _ := g["c"].(string); strings.HasPrefix(c, "0x") { // JSON has none for a channel: its text
				g["c"] = "!"
			}
		}
		var w map[string]any
		if err := json.Unmarshal([]byte(want), &w); err != nil {
			t.Fatal(err)
		}
		if a, b := fmt.Sprint(m), fmt.Sprint(w); a != b {
			t.Errorf("record %d is\n%s, want\n%s", i, a, b)
		}
	}
}

// A record of a stream's row names the row, also if it is the only one under way.
//
// feature: L1
func TestLogNamesTheRow(t *testing.T) {
	t.Parallel()
	for _, link := range []xme.Link{xme.LinkAuto, xme.LinkSocket, xme.LinkPipe} {
		var out lines
		pool := xmetest.Open(t, xme.Options{Workers: 1, Stderr: &out, Link: link, LogHandler: slog.NewTextHandler(&out, nil)})
		for range 4 {
			if _, err := square.Call(t.Context(), pool, 1); err != nil {
				t.Fatal(err)
			}
		}
		for _, err := range logTask.Map(t.Context(), pool, slices.Values([]saying{{Text: "only"}})) {
			if err != nil {
				t.Fatal(err)
			}
		}
		_ = pool.Close()
		if !strings.Contains(out.String(), "row=0") {
			t.Errorf("%v: %s", link, &out)
		}
	}
}

// A task derives a logger of its own, with a log file, and the pool has one for everything; both get whole lines.
//
// feature: L2, L3, S2
func TestLogFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	all, own := filepath.Join(dir, "all.log"), filepath.Join(dir, "own.log")
	if err := os.WriteFile(all, []byte("before\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out lines
	pool := xmetest.Open(t, xme.Options{Workers: 1, Stdout: &out, Stderr: &out, Log: xmelog.Options{File: all, Type: "Message"}})
	pid, err := logTask.Call(t.Context(), pool, saying{Text: "hello", File: own})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := speak.Call(t.Context(), pool, 1); err != nil {
		t.Fatal(err)
	}
	_ = pool.Close()
	mine := fmt.Sprintf(`\(Message\)\(pid@%d\):>>hello a=1 func=github.com/xenonmp/xme_test.log.say rank=1`, pid)
	rest := []string{
		mine,
		fmt.Sprintf(`\(Message\)`+stamp+`\(pid@%d\):hello k="v w"`, pid),
		fmt.Sprintf(`\(Message\)`+stamp+`\(pid@%d\):line 1`, pid),
		fmt.Sprintf(`\(Message\)`+stamp+`\(pid@%d\):no end 1`, pid),
	}
	wantLines(t, out.String(), rest...)
	for file, want := range map[string][]string{all: append([]string{"before"}, rest...), own: {mine}} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, string(text), want...)
	}
}

// Logging and screen can be switched off, a level hides what is below it, and a banner comes only if asked for.
//
// feature: S2, L4
func TestLogSwitches(t *testing.T) {
	t.Parallel()
	const banner = stamp + `\(pid@\d+\):xme .*, workers: 1, link: (shared memory|socket|pipes)`
	record, printed := stamp+`\(pid@\d+\):hello k="v w"`, []string{stamp + `\(pid@\d+\):line 1`, stamp + `\(pid@\d+\):no end 1`}
	for name, tc := range map[string]struct {
		o    xme.Options
		want []string
	}{
		"all":       {xme.Options{}, append([]string{record}, printed...)},
		"banner":    {xme.Options{Banner: true}, append([]string{banner, record}, printed...)},
		"no log":    {xme.Options{NoLog: true}, printed},
		"no screen": {xme.Options{NoScreen: true, Banner: true}, nil},
		"level":     {xme.Options{Log: xmelog.Options{Level: slog.LevelWarn}}, printed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out lines
			tc.o.Workers, tc.o.Stdout, tc.o.Stderr = 1, &out, &out
			pool := xmetest.Open(t, tc.o)
			_, err := logTask.Call(t.Context(), pool, saying{Text: "hello"})
			_, err2 := speak.Call(t.Context(), pool, 1)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			_ = pool.Close()
			if len(tc.want) == 0 {
				if out.String() != "" {
					t.Errorf("wrote\n%s", &out)
				}
				return
			}
			wantLines(t, out.String(), tc.want...)
		})
	}
}

// feature: S2, L2
func TestLogOptionsRefused(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "no", "log")
	for want, o := range map[string]xme.Options{
		"Options.Log.Width":                     {Log: xmelog.Options{Width: -2}},
		"Options.Log.File":                      {Log: xmelog.Options{File: missing}},
		"Options.LogHandler and Options.NoLog:": {NoLog: true, LogHandler: slog.DiscardHandler},
	} {
		pool, err := xme.Open(t.Context(), o)
		if err == nil {
			_ = pool.Close()
			t.Errorf("%s: opened", want)
			continue
		}
		wantText(t, err.Error(), want)
	}
}

var logMuch = xme.Register("log.much", func(ctx context.Context, n int) (int, error) {
	for i := range n {
		xme.Logger(ctx).Info(fmt.Sprint("record ", i, " ", strings.Repeat("x", 4000)))
		fmt.Println("printed", i, strings.Repeat("y", 4000))
	}
	return n, nil
})

// blocked is a writer that takes nothing until it is let go.
type blocked struct {
	free chan struct{}
	lines
}

func (b *blocked) Write(p []byte) (int, error) {
	<-b.free
	return b.lines.Write(p)
}

// A driver whose own output blocks holds up no worker: what it cannot take is dropped, counted, and the count written.
//
// feature: L3
func TestBlockedOutput(t *testing.T) {
	t.Parallel()
	const n = 2000 // of 4 kB, twice
	out := &blocked{free: make(chan struct{})}
	pool := xmetest.Open(t, xme.Options{Workers: 1, Stdout: out, Stderr: out, Log: xmelog.Options{NoTime: true, NoPID: true}})
	if got, err := logMuch.Call(t.Context(), pool, n); got != n || err != nil {
		t.Fatal(got, err)
	}
	close(out.free)
	_ = pool.Close()
	seen, dropped := map[string]int{}, 0
	for line := range strings.Lines(out.String()) {
		var i int
		if _, err := fmt.Sscanf(line, "xme: %d lines of workers were dropped", &i); err == nil {
			dropped += i
			continue
		}
		words := strings.Fields(line)
		if len(words) != 3 || len(words[2]) != 4000 {
			t.Fatalf("a torn line: %.100q", line)
		}
		if _, err := strconv.Atoi(words[1]); err != nil {
			t.Fatalf("a torn line: %.100q: %v", line, err)
		}
		seen[words[0]]++
	}
	if lines := seen["record"] + seen["printed"]; dropped == 0 || lines+dropped != 2*n {
		t.Errorf("%d lines and %d dropped, want %d in all", lines, dropped, 2*n)
	}
}

// Records of a task that runs in this process have the form too, unless the program has a default logger.
//
// feature: L1
func TestLoggerInline(t *testing.T) {
	if name := fmt.Sprintf("%T", slog.Default().Handler()); name != "*slog.defaultHandler" {
		t.Fatalf("the default logger has a %s: localLogger looks for another", name)
	}
	var out bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, nil)))
	defer func() {
		slog.SetDefault(old)
		log.SetOutput(os.Stderr) // which SetDefault does not do
		log.SetFlags(log.LstdFlags)
	}()
	if _, err := logTask.Call(t.Context(), xme.Inline(), saying{Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	xme.Logger(t.Context()).Info("outside")
	wantLines(t, out.String(),
		`time=\S+ level=INFO msg=hello func=github.com/xenonmp/xme_test.log.say rank=0 k="v w"`,
		`time=\S+ level=INFO msg=outside`)
}

var logWithin = xme.Register("log.within", func(ctx context.Context, text string) (int, error) {
	pool, err := xme.Open(ctx, xme.Options{Workers: 1, Spares: -1})
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	return logTask.Call(ctx, pool, saying{Text: text})
})

// What is logged in a pool that a task opened reaches the driver as it is: of its own process.
//
// feature: L1, U7
func TestLogOfAPoolInATask(t *testing.T) {
	t.Parallel()
	var out, records lines
	for _, o := range []xme.Options{
		{Stderr: &out},
		{Stderr: &out, LogHandler: slog.NewTextHandler(&records, nil)},
	} {
		o.Workers = 1
		pool := xmetest.Open(t, o)
		pid, err := logWithin.Call(t.Context(), pool, "deep")
		if err != nil {
			t.Fatal(err)
		}
		_ = pool.Close()
		if o.LogHandler == nil {
			wantLines(t, out.String(), fmt.Sprintf(stamp+`\(pid@%d\):deep k="v w"`, pid))
			continue
		}
		wantLines(t, records.String(), `time=\S+ level=INFO msg=deep pid=`+fmt.Sprint(pid)+` func=github.com/xenonmp/xme_test.log.say rank=1 k="v w"`)
	}
}
