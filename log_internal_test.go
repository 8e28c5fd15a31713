package xme

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/slogtest"
	"time"
	"unicode/utf8"

	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/xmelog"
)

// sinkTo returns a worker's handler whose records end in h, having crossed as they do.
func sinkTo(t testing.TB, h slog.Handler) (slog.Handler, func()) {
	t.Helper()
	out, err := newOutput(&Options{Stdout: io.Discard, Stderr: io.Discard, LogHandler: h})
	if err != nil {
		t.Fatal(err)
	}
	return &taskLog{sink: out.sink(), task: &task{fn: &function{name: "f"}, rank: 1, row: 2}}, func() { _ = out.close() }
}

// A task's handler keeps the rules of slog.
//
// feature: L1
func TestTaskLogIsAHandler(t *testing.T) {
	var b bytes.Buffer
	var done func()
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		b.Reset()
		h, end := sinkTo(t, slog.NewJSONHandler(&b, nil))
		done = end
		return h
	}, func(t *testing.T) map[string]any {
		done()
		m := map[string]any{}
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatalf("%v: %s", err, &b)
		}
		return m
	})
}

// A record too large to cross loses its attributes, and says so; its message is cut.
//
// feature: L3
func TestLargeRecord(t *testing.T) {
	var b bytes.Buffer
	h, done := sinkTo(t, slog.NewTextHandler(&b, nil))
	l := slog.New(h)
	attrs := make([]any, 0, 200)
	for range 100 {
		attrs = append(attrs, "k", strings.Repeat("v", 20_000))
	}
	l.Info(strings.Repeat("m", 100_000), attrs...)
	l.Info("next")
	done()
	if got := b.String(); len(got) > 70_000 || !strings.Contains(got, "(100000 bytes in all)") || !strings.Contains(got, "xme.attributes_dropped=100\n") || !strings.Contains(got, "msg=next") {
		t.Errorf("%d bytes: %.100s … %s", len(got), got, got[max(0, len(got)-300):])
	}
}

// A record too large to cross keeps the level and looks that its task has asked for, and texts are cut between characters.
//
// feature: L3
func TestLargeRecordKeepsItsForm(t *testing.T) {
	r := &logRecord{Level: slog.LevelDebug, Message: "m" + strings.Repeat("é", maxLogText), Form: &lineForm{Level: slog.LevelDebug, NoTime: true, Type: strings.Repeat("é", 1<<20)}}
	for range 100 {
		r.Attrs = append(r.Attrs, logAttrOf(slog.String("k", strings.Repeat("v", 20_000)), false, 0))
	}
	b, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	if f := got.Form; f == nil || f.Level != slog.LevelDebug || !f.NoTime || len(f.Type) > maxLogText || !utf8.ValidString(f.Type) || !utf8.ValidString(got.Message) {
		t.Errorf("%+v, %.20q", f, got.Message)
	}
}

// wrapped is a writer of a type whose values can be compared, but for what they may hold.
type wrapped struct{ io.Writer }

type several []io.Writer

func (several) Write(p []byte) (int, error) { return len(p), nil }

// Two writers that cannot be compared are two.
//
// feature: L3
func TestWritersThatCannotBeCompared(t *testing.T) {
	for name, w := range map[string]io.Writer{"by itself": several{}, "within": wrapped{several{}}} {
		if sameWriter(w, w) {
			t.Errorf("%s: they are one", name)
		}
	}
	if w := (wrapped{os.Stdout}); !sameWriter(w, w) {
		t.Error("a writer is not itself")
	}
}

// Rubbish in a worker's log ends that log with a line that says so, and nothing else.
//
// feature: L3
func TestRubbishInALog(t *testing.T) {
	for i := range 200 {
		rng := rand.New(rand.NewPCG(7, uint64(i)))
		b, err := (&logRecord{Message: "m", Func: "f", Attrs: []logAttr{logAttrOf(slog.Int("k", 1), true, 0)}, Form: &lineForm{Unit: "x"}}).encode()
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + rng.IntN(4) {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
		out, err := newOutput(&Options{Stdout: io.Discard, Stderr: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = out.record(1, b) // no panic
		if _, err := out.record(1, nil); err == nil {
			t.Error("an empty record is none")
		}
		_ = out.close()
	}
}

func FuzzLogRecord(f *testing.F) {
	for _, r := range []logRecord{
		{},
		{Time: 1, Level: slog.LevelWarn, PC: 9, Message: "a\nb", Func: "f", Rank: 1, Row: 2, Form: &lineForm{Task: true, Width: 2}},
		{Attrs: []logAttr{
			logAttrOf(slog.Time("t", time.Unix(1, 2)), true, 0), logAttrOf(slog.Group("g", "a", 1.5, "b", true), true, 0),
			logAttrOf(slog.Any("v", []int{1}), true, 0), logAttrOf(xmelog.Type("T"), true, 0), logAttrOf(xmelog.Indent(3), true, 0), logAttrOf(xmelog.PID(0), true, 0),
		}},
	} {
		b, err := r.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	out, err := newOutput(&Options{Stdout: io.Discard, Stderr: io.Discard, LogHandler: slog.NewJSONHandler(io.Discard, nil)})
	if err != nil {
		f.Fatal(err)
	}
	lines, err := newOutput(&Options{Stdout: io.Discard, Stderr: io.Discard})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _, _ = out.close(), lines.close() })
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = lines.record(1, b)
		if _, err := out.record(1, b); err == nil {
			handle(slog.NewTextHandler(io.Discard, nil), appendPID(b, 1), 0)
		}
	})
}

// BenchmarkLogger is one record: of a task on its way to a pipe, beside the write alone.
func BenchmarkLogger(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	b.Run("record", func(b *testing.B) {
		l := slog.New(&taskLog{
			task: &task{fn: &function{name: "f"}, rank: 1, row: 2},
			sink: &logSink{send: func(body []byte) error {
				_, err := null.Write(proc.AppendRecord(nil, body))
				return err
			}},
		})
		for b.Loop() {
			l.Info("a message", "k", 1, "s", "text")
		}
	})
	b.Run("write", func(b *testing.B) {
		line := make([]byte, 100)
		for b.Loop() {
			_, _ = null.Write(line)
		}
	})
}
