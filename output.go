package xme

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/xmelog"
)

// output is where what a pool's workers print and log goes: lines to the screen and the
// log file, records to another handler if the user has one.
type output struct {
	form    lineForm
	lines   *xmelog.Handler // writes nothing: it knows how lines look
	last    *xmelog.Handler // for what an Error keeps
	records *xmelog.Handler // nil: none
	screen  [2]*proc.Output // standard output and error; nil: none
	handler *proc.Output    // of records; nil: none
	log     *proc.Output    // the log file; nil: none
	file    *os.File
	level   slog.Leveler // the least level of lines
	none    bool         // no records at all

	ends sync.Once
	err  error // of close
}

// newOutput makes what o asks for.
func newOutput(o *Options) (*output, error) {
	out := &output{form: formOf(o.Log)}
	plain := o.Log
	plain.File = ""
	var err error
	if out.lines, err = xmelog.New(nil, plain); err != nil {
		return nil, fmt.Errorf("Options.Log: %w", err)
	}
	if out.last, err = xmelog.New(nil, xmelog.Options{NoTime: true, NoPID: true}); err != nil {
		return nil, err
	}
	if o.Log.File != "" {
		out.file, err = os.OpenFile(o.Log.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("Options.Log.File: %w", err)
		}
		out.log = proc.NewOutput(out.file, out.dropped)
	}
	if !o.NoScreen {
		out.screen[0] = proc.NewOutput(o.Stdout, out.dropped)
		out.screen[1] = out.screen[0]
		if !sameWriter(o.Stdout, o.Stderr) {
			out.screen[1] = proc.NewOutput(o.Stderr, out.dropped)
		}
	}
	var to []*proc.Output
	h := o.LogHandler
	if h == nil && ownLog != nil && o.Stderr == io.Writer(os.Stderr) {
		h = ownLog
	}
	if h != nil {
		out.form.JSON = true
		out.handler = proc.NewOutputFunc(func(body []byte, dropped int) { handle(h, body, dropped) })
	} else {
		to = append(to, out.screen[1])
	}
	if to = slices.DeleteFunc(append(to, out.log), func(p *proc.Output) bool { return p == nil }); len(to) > 0 {
		if out.records, err = xmelog.New(tee(to), plain); err != nil {
			return nil, err
		}
	}
	out.level, out.none = out.lines.Options().Level, o.NoLog
	out.form.Level = noLevel
	if out.records != nil && !o.NoLog {
		out.form.Level = out.level.Level()
	}
	if h != nil && !o.NoLog {
		out.form.Level = min(out.form.Level, leastLevel(h))
	}
	return out, nil
}

// sameWriter reports whether two writers are one, or lead to one file: lines that two
// goroutines wrote there would be torn.
func sameWriter(a, b io.Writer) bool {
	if f, ok := a.(*os.File); ok {
		g, ok := b.(*os.File)
		if !ok {
			return false
		}
		fs, err1 := f.Stat()
		gs, err2 := g.Stat()
		return f == g || err1 == nil && err2 == nil && os.SameFile(fs, gs)
	}
	// By the values: one of a type that can be compared may hold one that cannot.
	return reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// tee hands what is written, a line at a time, to outputs.
type tee []*proc.Output

func (t tee) Write(b []byte) (int, error) {
	line := bytes.Clone(b)
	for _, o := range t {
		o.Put(line)
	}
	return len(b), nil
}

// leastLevel returns the least level that a handler takes, which it finds out by asking:
// one that takes a level takes those above.
func leastLevel(h slog.Handler) slog.Level {
	const from = -int(noLevel)
	n := sort.Search(2*int(noLevel), func(i int) bool { return h.Enabled(context.Background(), slog.Level(from+i)) })
	return slog.Level(from + n)
}

// line takes a line that a worker printed.
func (o *output) line(pid, stream int, line []byte) {
	b := o.lines.AppendLine(nil, time.Now(), pid, line)
	if sub := o.screen[stream]; sub != nil {
		sub.Put(b)
	}
	if o.log != nil {
		o.log.Put(b)
	}
}

// record takes a log record of a worker and returns its text.
func (o *output) record(pid int, body []byte) (string, error) {
	r, err := decodeRecord(body)
	if err != nil {
		return "", err
	}
	rec := r.slogRecord(pid, true)
	if o.records != nil && o.shown(r) {
		if err := r.write(o.records, rec, o.form.Task); err != nil {
			return "", err
		}
	}
	if o.handler != nil && !o.none {
		o.handler.Put(appendPID(body, pid))
	}
	return string(o.last.Append(nil, rec)), nil
}

// shown reports whether a record becomes a line: by the level that its task has asked for,
// if it has.
func (o *output) shown(r *logRecord) bool {
	least := o.level.Level()
	if r.Form != nil {
		least = r.Form.Level
	}
	return !o.none && r.Level >= least
}

// A record for another handler is decoded when that has time for it.
func appendPID(body []byte, pid int) []byte {
	return binary.LittleEndian.AppendUint32(slices.Clip(body), uint32(pid))
}

func handle(h slog.Handler, body []byte, dropped int) {
	ctx := context.Background()
	if dropped > 0 {
		r := slog.NewRecord(time.Now(), slog.LevelWarn, "xme: log records of workers were dropped: the log handler did not take them", 0)
		r.AddAttrs(slog.Int("dropped", dropped))
		_ = h.Handle(ctx, r)
		return
	}
	body, p := body[:len(body)-4], body[len(body)-4:]
	r, err := decodeRecord(body)
	if err != nil || !h.Enabled(ctx, r.Level) {
		return
	}
	pid := int(binary.LittleEndian.Uint32(p))
	if h == slog.Handler(ownLog) { // on to this worker's own driver
		t := &task{fn: &function{name: r.Func}, rank: r.Rank, row: r.Row}
		_ = h.Handle(context.WithValue(ctx, taskKey{}, t), r.slogRecord(pid, true))
		return
	}
	_ = h.Handle(ctx, r.slogRecord(pid, false)) // whom could it be told to
}

// dropped returns the line that says how many were dropped.
func (o *output) dropped(n int) []byte {
	text := fmt.Appendf(nil, "xme: %d lines of workers were dropped: this output did not take them", n)
	return o.lines.AppendLine(nil, time.Now(), os.Getpid(), text)
}

// say writes a line of the driver's own.
func (o *output) say(text string) { o.line(os.Getpid(), 1, []byte(text)) }

// block writes whole lines of the driver's own as they are.
func (o *output) block(lines []byte) {
	for _, to := range []*proc.Output{o.screen[1], o.log} {
		if to != nil {
			to.Put(lines)
		}
	}
}

// sink is for workers in this process.
func (o *output) sink() *logSink {
	return &logSink{form: o.form, send: func(body []byte) error {
		_, err := o.record(os.Getpid(), body)
		return err
	}}
}

// outputTime is what the driver's own output has to take the workers' last lines.
const outputTime = time.Second

// close waits for what is still to be written, as long as that moves on. The error says how
// much was not.
func (o *output) close() error {
	o.ends.Do(func() {
		var lost atomic.Int64
		var wait sync.WaitGroup
		outputs := []*proc.Output{o.handler, o.screen[0], o.log}
		if o.screen[1] != o.screen[0] {
			outputs = append(outputs, o.screen[1])
		}
		outputs = slices.DeleteFunc(outputs, func(sub *proc.Output) bool { return sub == nil })
		for _, sub := range outputs {
			wait.Go(func() { lost.Add(int64(sub.Close(outputTime))) })
		}
		wait.Wait()
		if n := lost.Load(); n > 0 {
			o.err = fmt.Errorf("xme: the last %d lines or log records of workers were not written: an output did not take them for %v", n, outputTime)
		}
		for _, sub := range outputs {
			if n, err := sub.Failed(); n > 0 {
				o.err = errors.Join(o.err, fmt.Errorf("xme: %d lines or log records of workers were not written: %w", n, err))
			}
		}
		if o.file != nil {
			o.err = errors.Join(o.err, o.file.Close())
		}
	})
	return o.err
}

// checkLog checks what of o says where log records go.
func (o *Options) checkLog() error {
	if o.Log.Width < 0 {
		return fmt.Errorf("xme: Options.Log.Width is %d: 0 takes the default of 4", o.Log.Width)
	}
	if o.NoLog && o.LogHandler != nil {
		return errors.New("xme: Options.LogHandler and Options.NoLog: give one of them")
	}
	return nil
}
