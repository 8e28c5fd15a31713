package xmelog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/xenonmp/xme/xmelog"
)

// at is when all that is logged here happens: local time is what lines show.
var at = time.Date(2023, 10, 20, 3, 34, 27, 999999999, time.Local)

type panics struct{}

func (panics) String() string { panic("no text") }

type asText struct{ s string }

func (a asText) MarshalText() ([]byte, error) {
	if a.s == "" {
		return nil, errors.New("empty")
	}
	return []byte(a.s), nil
}

type resolves struct{}

func (resolves) LogValue() slog.Value { return slog.GroupValue(slog.Int("x", 1), slog.Int("y", 2)) }

// The form of a line, byte for byte: [(type)][time][(pid@N)][:], "----" for each indent, message, " key=value".
//
// feature: L1, L2
func TestLineForm(t *testing.T) {
	t.Parallel()
	const stamp = "2023-10-20 03:34:27"
	p := fmt.Sprintf("(pid@%d)", os.Getpid())
	info, warn := slog.LevelInfo, slog.LevelWarn
	for name, tc := range map[string]struct {
		o     xmelog.Options
		level slog.Level
		msg   string
		args  []any
		want  string
	}{
		"plain":                      {xmelog.Options{}, info, "This is function fun", nil, stamp + p + ":This is function fun\n"},
		"empty":                      {xmelog.Options{}, info, "", nil, stamp + p + ":\n"},
		"keys":                       {xmelog.Options{}, info, "m", []any{"a", 1, "b", "x"}, stamp + p + ":m a=1 b=x\n"},
		"type of the call":           {xmelog.Options{}, info, "m", []any{xmelog.Type("Note")}, "(Note)" + stamp + p + ":m\n"},
		"type among keys":            {xmelog.Options{}, info, "m", []any{"a", 1, xmelog.Type("Note"), "b", 2}, "(Note)" + stamp + p + ":m a=1 b=2\n"},
		"the last type counts":       {xmelog.Options{}, info, "m", []any{xmelog.Type("A"), xmelog.Type("B")}, "(B)" + stamp + p + ":m\n"},
		"type of a level":            {xmelog.Options{}, warn, "m", nil, "(WARN)" + stamp + p + ":m\n"},
		"between levels":             {xmelog.Options{}, warn + 2, "m", nil, "(WARN+2)" + stamp + p + ":m\n"},
		"error":                      {xmelog.Options{}, slog.LevelError, "m", nil, "(ERROR)" + stamp + p + ":m\n"},
		"the call's before level's":  {xmelog.Options{}, warn, "m", []any{xmelog.Type("Note")}, "(Note)" + stamp + p + ":m\n"},
		"default type":               {xmelog.Options{Type: "Message"}, info, "m", nil, "(Message)" + stamp + p + ":m\n"},
		"level before default type":  {xmelog.Options{Type: "Message"}, warn, "m", nil, "(WARN)" + stamp + p + ":m\n"},
		"no type":                    {xmelog.Options{NoType: true, Type: "Message"}, warn, "m", []any{xmelog.Type("Note")}, stamp + p + ":m\n"},
		"no time":                    {xmelog.Options{NoTime: true}, info, "m", nil, p + ":m\n"},
		"no pid":                     {xmelog.Options{NoPID: true}, info, "m", nil, stamp + ":m\n"},
		"type alone":                 {xmelog.Options{NoTime: true, NoPID: true}, warn, "m", nil, "(WARN):m\n"},
		"no prefix, no colon":        {xmelog.Options{NoTime: true, NoPID: true}, info, "m", []any{"k", 1}, "m k=1\n"},
		"no prefix, indented":        {xmelog.Options{NoTime: true, NoPID: true}, info, "m", []any{xmelog.Indent(1)}, "----m\n"},
		"another pid":                {xmelog.Options{}, info, "m", []any{xmelog.PID(7)}, stamp + "(pid@7):m\n"},
		"no pid for this":            {xmelog.Options{}, info, "m", []any{xmelog.PID(0)}, stamp + ":m\n"},
		"indent":                     {xmelog.Options{}, info, "m", []any{xmelog.Indent(2), "k", "v"}, stamp + p + ":--------m k=v\n"},
		"indents add up":             {xmelog.Options{}, info, "m", []any{xmelog.Indent(2), xmelog.Indent(-1)}, stamp + p + ":----m\n"},
		"negative indent":            {xmelog.Options{}, info, "m", []any{xmelog.Indent(-1)}, stamp + p + ":m\n"},
		"unit":                       {xmelog.Options{Unit: "=>", Width: 1}, info, "m", []any{xmelog.Indent(2)}, stamp + p + ":=>=>m\n"},
		"no indent":                  {xmelog.Options{NoIndent: true}, info, "m", []any{xmelog.Indent(2)}, stamp + p + ":m\n"},
		"several lines":              {xmelog.Options{NoTime: true}, info, "a\nb\r\n\nc\n", []any{xmelog.Indent(1), "k", 1}, p + ":----a\n" + p + ":----b\n" + p + ":----\n" + p + ":----c k=1\n"},
		"control characters":         {xmelog.Options{NoTime: true, NoPID: true}, info, "a\x1b[31m\tb\x00\u0085\u2028\xff", nil, "a\\x1b[31m\tb\\x00\\u0085\\u2028\\xff\n"},
		"type that would end a line": {xmelog.Options{NoTime: true, NoPID: true}, info, "m", []any{xmelog.Type("a\nb")}, "(a\\x0ab):m\n"},
		"not ASCII":                  {xmelog.Options{NoTime: true, NoPID: true}, info, "größe 大", []any{"ключ", "значение"}, "größe 大 ключ=значение\n"},
		"quoted": {
			xmelog.Options{NoTime: true, NoPID: true},
			info, "m",
			[]any{"a b", "c d", "e", "", "f", `"`, "g", "x=y", "h", "l\n", "i", `c:\x`},
			`m "a b"="c d" e="" f="\"" g="x=y" h="l\n" i=c:\x` + "\n",
		},
		"kinds": {
			xmelog.Options{NoTime: true, NoPID: true},
			info, "m",
			[]any{
				"i", int64(-1), "u", uint64(math.MaxUint64), "f", 1.5, "b", true, "d", 1500 * time.Millisecond,
				"t", time.Date(2001, 2, 3, 4, 5, 6, 7e6, time.UTC), "e", io.EOF, "n", nil, "s",
				[]int{1},
				"p", netip.MustParseAddr("::1"), "y", []byte("hi"),
			},
			`m i=-1 u=18446744073709551615 f=1.5 b=true d=1.5s t=2001-02-03T04:05:06.007Z e=EOF n=<nil> s=[1] p=::1 y=hi` + "\n",
		},
		"values of their own mind": {
			xmelog.Options{NoTime: true, NoPID: true},
			info, "m",
			[]any{"p", panics{}, "q", asText{"a b"}, "r", asText{}, "v", resolves{}, "n", (*time.Location)(nil)},
			`m p="%!v(PANIC=String method: no text)" q="a b" r=!ERROR:empty v.x=1 v.y=2 n=UTC` + "\n",
		},
		"groups": {
			xmelog.Options{NoTime: true, NoPID: true},
			info, "m",
			[]any{slog.Group("g", "a", 1, slog.Group("h", "b", 2)), slog.Group("", "c", 3), slog.Group("empty"), slog.Attr{}},
			"m g.a=1 g.h.b=2 c=3\n",
		},
		"key without value": {xmelog.Options{NoTime: true, NoPID: true}, info, "m", []any{"k"}, "m !BADKEY=k\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			h, err := xmelog.New(&out, tc.o)
			if err != nil {
				t.Fatal(err)
			}
			r := slog.NewRecord(at, tc.level, tc.msg, 0)
			r.Add(tc.args...)
			if err := h.Handle(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != tc.want {
				t.Errorf("wrote %q\n want %q", got, tc.want)
			}
		})
	}
}

// What a logger is given with With stands before what a call gives, in its groups.
//
// feature: L1
func TestWithAttrsAndGroups(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h, err := xmelog.New(&out, xmelog.Options{NoTime: true, NoPID: true})
	if err != nil {
		t.Fatal(err)
	}
	l := slog.New(h).With("a", 1, xmelog.Indent(1))
	g := l.WithGroup("g").With("b", 2, xmelog.Type("T"))
	g.Info("one", "c", 3, xmelog.Indent(1))
	l.Info("two", "c", 3)
	slog.New(h.WithGroup("").WithAttrs(nil)).Info("three")
	const want = "(T):--------one a=1 g.b=2 g.c=3\n----two a=1 c=3\nthree\n"
	if out.String() != want {
		t.Errorf("wrote\n%swant\n%s", &out, want)
	}
}

// A record without a time has none in its line, and a level below Options.Level no line.
//
// feature: L1, L2
func TestLevelsAndNoTime(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var level slog.LevelVar
	h, err := xmelog.New(&out, xmelog.Options{NoPID: true, Level: &level})
	if err != nil {
		t.Fatal(err)
	}
	l := slog.New(h)
	l.Debug("hidden")
	level.Set(slog.LevelDebug)
	if err := h.Handle(t.Context(), slog.NewRecord(time.Time{}, slog.LevelDebug, "seen", 0)); err != nil || !l.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("not seen", err)
	}
	if out.String() != "seen\n" {
		t.Errorf("wrote %q", &out)
	}
}

// A derived logger has other options, and a file of its own besides; the first keeps its own.
//
// feature: L2
func TestWith(t *testing.T) {
	t.Parallel()
	var out, foreign bytes.Buffer
	file := filepath.Join(t.TempDir(), "own.log")
	h, err := xmelog.New(&out, xmelog.Options{NoTime: true, NoPID: true})
	if err != nil {
		t.Fatal(err)
	}
	l := slog.New(h).With("a", 1)
	own, err := xmelog.With(l, func(o *xmelog.Options) { o.File, o.Type = file, "Own" })
	if err != nil {
		t.Fatal(err)
	}
	more, err := xmelog.With(own, func(o *xmelog.Options) { o.Type = "" })
	if err != nil {
		t.Fatal(err)
	}
	other, err := xmelog.With(slog.New(slog.NewTextHandler(&foreign, nil)), func(o *xmelog.Options) { o.File, o.NoTime, o.NoPID = file, true, true })
	if err != nil {
		t.Fatal(err)
	}
	own.Info("one")
	l.Info("two")
	more.Info("three")
	other.With("b", 2).WithGroup("g").Info("four", "c", 3)
	other.Debug("hidden")
	if want := "(Own):one a=1\ntwo a=1\nthree a=1\n"; out.String() != want {
		t.Errorf("wrote\n%swant\n%s", &out, want)
	}
	got, err := os.ReadFile(file)
	if want := "(Own):one a=1\nthree a=1\nfour b=2 g.c=3\n"; err != nil || string(got) != want {
		t.Errorf("%v, the file has\n%swant\n%s", err, got, want)
	}
	if !strings.HasSuffix(foreign.String(), "msg=four b=2 g.c=3\n") || strings.Count(foreign.String(), "\n") != 1 {
		t.Errorf("the other handler wrote %q", &foreign)
	}
}

// A file beside a handler of another package takes what that takes, unless a level is asked for.
//
// feature: L2
func TestWithKeepsTheLevel(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		level slog.Level
		set   []func(*xmelog.Options)
		want  string
	}{
		"lower":       {slog.LevelDebug, nil, "debug info error"},
		"higher":      {slog.LevelError, nil, "error"},
		"asked for":   {slog.LevelDebug, []func(*xmelog.Options){func(o *xmelog.Options) { o.Level = slog.LevelInfo }}, "info error"},
		"taken back":  {slog.LevelDebug, []func(*xmelog.Options){func(o *xmelog.Options) { o.Level = slog.LevelError }, func(o *xmelog.Options) { o.Level = nil }}, "debug info error"},
		"not changed": {slog.LevelDebug, []func(*xmelog.Options){func(o *xmelog.Options) { o.Type = "x" }}, "debug info error"},
	} {
		var out bytes.Buffer
		file := filepath.Join(t.TempDir(), "own.log")
		l := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: tc.level}))
		var err error
		for _, set := range append([]func(*xmelog.Options){func(o *xmelog.Options) { o.File, o.NoTime, o.NoPID, o.NoType = file, true, true, true }}, tc.set...) {
			if l, err = xmelog.With(l, set); err != nil {
				t.Fatal(err)
			}
		}
		l = l.With().WithGroup("g")
		l.Debug("debug")
		l.Info("info")
		l.Error("error")
		got, err := os.ReadFile(file)
		if in := strings.Join(strings.Fields(string(got)), " "); err != nil || in != tc.want || strings.Count(out.String(), "msg=") != strings.Count(tc.want, " ")+1 {
			t.Errorf("%s: the file has %q, %v; want %q; the other handler wrote\n%s", name, in, err, tc.want, &out)
		}
	}
}

// A record is cut, of one line or one value too, and by whole characters.
func TestLongRecords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 4<<20)
	for name, log := range map[string]func(l *slog.Logger){
		"message": func(l *slog.Logger) { l.Info(long) },
		"value":   func(l *slog.Logger) { l.Info("m", "k", long) },
		"any":     func(l *slog.Logger) { l.Info("m", "k", errors.New(long)) },
		"key":     func(l *slog.Logger) { l.Info("m", long, 1) },
		"both":    func(l *slog.Logger) { l.Info(long+"\nrest", "k", long, "l", 2) },
	} {
		var out bytes.Buffer
		log(slog.New(must(xmelog.New(&out, xmelog.Options{}))))
		if got := out.String(); len(got) > 3<<20 || len(got) < 1<<20 || !utf8.ValidString(got) || strings.Contains(got, `\x`) || !strings.HasSuffix(got, "\n") {
			t.Errorf("%s: %d bytes, begin %.50q, end %.50q", name, len(got), got, got[len(got)-50:])
		}
		if got := out.String(); name != "key" && !strings.Contains(got, " bytes more)") {
			t.Errorf("%s: it does not say that it was cut", name)
		}
	}
}

// A writer that panics is the panic of who logs; others log on.
func TestWriterPanics(t *testing.T) {
	t.Parallel()
	l := slog.New(must(xmelog.New(panicking{}, xmelog.Options{})))
	for range 2 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			l.Info("m")
		}()
	}
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("no") }

// What cannot be honoured is said at once, and the logger stays what it was.
//
// feature: L2
func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "no", "such", "file")
	if _, err := xmelog.New(io.Discard, xmelog.Options{File: missing}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "Options.File") {
		t.Errorf("a file that cannot be: %v", err)
	}
	if _, err := xmelog.New(io.Discard, xmelog.Options{Width: -1}); err == nil || !strings.Contains(err.Error(), "Options.Width") {
		t.Errorf("a negative width: %v", err)
	}
	for _, h := range []slog.Handler{slog.DiscardHandler, must(xmelog.New(io.Discard, xmelog.Options{}))} {
		l := slog.New(h)
		if got, err := xmelog.With(l, func(o *xmelog.Options) { o.File = missing }); got != l || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("With on a %T: %v", h, err)
		}
	}
}

func must(h *xmelog.Handler, err error) *xmelog.Handler {
	if err != nil {
		panic(err)
	}
	return h
}

// A writer's error is Handle's.
func TestWriteError(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	cause := errors.New("full")
	_ = r.CloseWithError(cause)
	h := must(xmelog.New(w, xmelog.Options{}))
	if err := h.Handle(context.Background(), slog.NewRecord(at, slog.LevelInfo, "m", 0)); !errors.Is(err, cause) {
		t.Errorf("Handle: %v", err)
	}
}

// Lines of many goroutines and handlers in one file are whole.
//
// feature: L3
func TestLinesAreWhole(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	const writers, each = 8, 500
	done := make(chan error, writers)
	for w := range writers {
		go func() {
			h, err := xmelog.New(nil, xmelog.Options{File: file, NoTime: true, NoPID: true})
			for n := range each {
				if err == nil {
					err = h.Handle(context.Background(), slog.NewRecord(at, slog.LevelInfo, fmt.Sprintf("%d %d %s", w, n, strings.Repeat("x", n)), 0))
				}
			}
			done <- err
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	next := make([]int, writers)
	for line := range strings.Lines(string(text)) {
		var w, n int
		var x string
		if _, err := fmt.Sscanf(line, "%d %d %s\n", &w, &n, &x); (err != nil && n > 0) || n != next[w] || len(x) != n {
			t.Fatalf("line %q: %v, want number %d", line, err, next[w])
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("writer %d: %d lines", w, n)
		}
	}
}

func Example() {
	h, err := xmelog.New(os.Stdout, xmelog.Options{NoTime: true, NoPID: true}) // as this output is the same each time
	if err != nil {
		panic(err)
	}
	log := slog.New(h)
	log.Info("two rows read", "file", "a.csv")
	log.Info("the first is short", xmelog.Indent(1), "length", 3)
	log.Warn("the second is empty")
	log.Info("done", xmelog.Type("Note"))
	// Output:
	// two rows read file=a.csv
	// ----the first is short length=3
	// (WARN):the second is empty
	// (Note):done
}

func ExampleWith() {
	h, err := xmelog.New(os.Stdout, xmelog.Options{NoTime: true, NoPID: true})
	if err != nil {
		panic(err)
	}
	log, err := xmelog.With(slog.New(h), func(o *xmelog.Options) { o.Type, o.Unit, o.Width = "Message", ">", 2 })
	if err != nil {
		panic(err)
	}
	log.Info("deeper", xmelog.Indent(1))
	// Output: (Message):>>deeper
}
