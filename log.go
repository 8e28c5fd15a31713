package xme

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/text"
	"github.com/xenonmp/xme/internal/wire"
	"github.com/xenonmp/xme/xmelog"
)

// Logger returns the task's logger, never nil. Its records reach the pool's driver
// through a pipe of their own. Each is written whole before the call returns, so that
// none is lost with its worker, and goes where Options.Log and Options.LogHandler say.
// Records keep their process, function, rank and row, their attributes with their types,
// and their source. A message, and the text of an attribute, is cut at 64 KiB; a record
// of more than 1 MiB loses its attributes, whose number is given by one named
// xme.attributes_dropped.
//
// In a worker, the records of slog.Default go the same way, unless the program has set
// another default before [Init]; so does the output of package log, unless it has been
// given another writer. What package log writes is kept for the worker's error regardless
// of the level. With [Inline], and outside tasks, Logger returns slog.Default if the
// program has set it; otherwise it writes to standard error as package xmelog does.
//
// [xmelog.With] derives a logger whose lines look different, or also go to a file of the
// task's own.
func Logger(ctx context.Context) *slog.Logger {
	t := taskOf(ctx)
	if t == nil {
		return localLogger()
	}
	if t.log != nil {
		return slog.New(&taskLog{sink: t.log, task: t})
	}
	if l := slog.Default(); !isStandard(l) {
		if own, ok := l.Handler().(*taskLog); ok { // a worker's, which runs the task itself, as a guard does with what is queued
			of := *own
			of.task = t
			return slog.New(&of)
		}
		return slog.New(l.Handler().WithAttrs(t.attrs()))
	}
	return slog.New(&taskLog{sink: localSink, task: t})
}

// attrs says which task it is.
func (t *task) attrs() []slog.Attr {
	name := ""
	if t.fn != nil {
		name = t.fn.name
	}
	return taskAttrs(name, t.rank, t.row)
}

func taskAttrs(name string, rank, row int) []slog.Attr {
	attrs := []slog.Attr{slog.String("func", name), slog.Int("rank", rank)}
	if row >= 0 {
		attrs = append(attrs, slog.Int("row", row))
	}
	return attrs
}

// localLogger is the logger of what runs in this process and in no pool.
func localLogger() *slog.Logger {
	if l := slog.Default(); !isStandard(l) {
		return l
	}
	return slog.New(stderrLog())
}

var stderrLog = sync.OnceValue(func() *xmelog.Handler {
	h, err := xmelog.New(os.Stderr, xmelog.Options{})
	if err != nil {
		panic(err) // nothing that was asked for can fail
	}
	return h
})

// localSink writes the records of tasks that run in this process and in no pool.
var localSink = &logSink{send: func(body []byte) error {
	r, err := decodeRecord(body)
	if err != nil {
		return err
	}
	return r.write(stderrLog(), r.slogRecord(os.Getpid(), true), false)
}}

// isStandard reports whether l is what slog.Default returns in a program that has set no
// other.
func isStandard(l *slog.Logger) bool { return fmt.Sprintf("%T", l.Handler()) == "*slog.defaultHandler" }

// logSink is where the log records of tasks go: out of a worker.
type logSink struct {
	form lineForm
	send func(record []byte) error
}

// lineForm is what a worker knows of how its driver writes log records.
type lineForm struct {
	Level    slog.Level `json:",omitzero"` // the least that is wanted; noLevel: none is
	Own      slog.Level `json:",omitzero"` // what a log file of a task's own has then
	JSON     bool       `json:",omitzero"` // values are wanted as JSON too
	NoTime   bool       `json:",omitzero"`
	NoPID    bool       `json:",omitzero"`
	NoType   bool       `json:",omitzero"`
	NoIndent bool       `json:",omitzero"`
	Task     bool       `json:",omitzero"`
	Type     string     `json:",omitzero"`
	Unit     string     `json:",omitzero"`
	Width    int        `json:",omitzero"`
}

func formOf(o xmelog.Options) lineForm {
	f := lineForm{
		NoTime: o.NoTime, NoPID: o.NoPID, NoType: o.NoType, NoIndent: o.NoIndent, Task: o.Task, Type: o.Type, Unit: o.Unit, Width: o.Width,
	}
	if o.Level != nil {
		f.Level = o.Level.Level()
	}
	f.Own = f.Level
	return f
}

func (f *lineForm) options() xmelog.Options {
	return xmelog.Options{
		Level: f.Level, NoTime: f.NoTime, NoPID: f.NoPID, NoType: f.NoType, NoIndent: f.NoIndent, Task: f.Task,
		Type: f.Type, Unit: f.Unit, Width: f.Width,
	}
}

// noLevel is above all levels: nothing is logged.
const noLevel = slog.Level(1 << 28)

// String encodes f for the environment of a worker; parseForm reads it.
func (f *lineForm) String() string {
	if *f == (lineForm{}) {
		return ""
	}
	b, _ := json.Marshal(f) // nothing in it can fail
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseForm(s string) (f lineForm, err error) {
	if s == "" {
		return f, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	return f, err
}

// ownLog is the log of this process if it is a worker: records of pools that it opens go
// there. Init sets it.
var ownLog *taskLog

// workerLog makes a worker's sink of the log that it inherited, and has slog.Default use
// it. nil: the worker has no log.
func workerLog(r *proc.Role) *logSink {
	file, text := r.Log()
	if file == nil {
		return nil
	}
	form, err := parseForm(text)
	if err != nil {
		return nil
	}
	var mu sync.Mutex
	var buf []byte
	sink := &logSink{form: form, send: func(record []byte) error {
		mu.Lock()
		defer mu.Unlock()
		buf = proc.AppendRecord(buf[:0], record)
		_, err := file.Write(buf)
		if cap(buf) > 64<<10 {
			buf = nil
		}
		return err
	}}
	ownLog = &taskLog{sink: sink}
	if isStandard(slog.Default()) {
		writer, flags := log.Writer(), log.Flags()
		slog.SetDefault(slog.New(ownLog)) // takes package log over too
		log.SetOutput(writer)
		log.SetFlags(flags)
		if writer == io.Writer(os.Stderr) {
			log.SetOutput(logWriter{sink})
			if flags == log.LstdFlags {
				log.SetFlags(0) // the record has a time
			}
		}
	}
	return sink
}

// logWriter makes records of what package log writes. They are sent whatever the level: the
// last one before log.Fatal is what its worker's error needs.
type logWriter struct{ sink *logSink }

func (w logWriter) Write(b []byte) (int, error) {
	rec := logRecord{Time: time.Now().UnixNano(), Message: strings.TrimSuffix(string(b), "\n"), Row: -1}
	body, err := rec.encode()
	if err == nil {
		err = w.sink.send(body)
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// taskLog is the slog.Handler of a task, or of a worker's slog.Default.
type taskLog struct {
	sink   *logSink
	task   *task        // nil: the one in the context of a record
	form   *lineForm    // nil: the sink's
	file   slog.Handler // what scopes say is said to it
	bare   slog.Handler // the same without them
	scopes []logScope
}

// logScope is a group, or attributes.
type logScope struct {
	group string
	attrs []logAttr
}

func (h *taskLog) looks() *lineForm {
	if h.form != nil {
		return h.form
	}
	return &h.sink.form
}

// Enabled implements slog.Handler.
func (h *taskLog) Enabled(_ context.Context, l slog.Level) bool { return l >= h.looks().Level }

// WithGroup implements slog.Handler.
func (h *taskLog) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	twin := *h
	twin.scopes = append(slices.Clip(h.scopes), logScope{group: name})
	if h.file != nil {
		twin.file = h.file.WithGroup(name)
	}
	return &twin
}

// WithAttrs implements slog.Handler.
func (h *taskLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	twin := *h
	s := logScope{}
	for _, a := range attrs {
		s.attrs = appendLogAttr(s.attrs, a, h.sink.form.JSON)
	}
	twin.scopes = append(slices.Clip(h.scopes), s)
	if h.file != nil {
		twin.file = h.file.WithAttrs(attrs)
	}
	return &twin
}

// WithOptions is what xmelog.With calls.
func (h *taskLog) WithOptions(set func(*xmelog.Options)) (slog.Handler, error) {
	o := h.looks().options()
	if o.Level.Level() == noLevel {
		o.Level = h.looks().Own
	}
	old := ""
	if f, ok := h.file.(*xmelog.Handler); ok {
		old = f.Options().File
	}
	o.File = old
	set(&o)
	file, err := xmelog.New(nil, o) // checks them, too
	if err != nil {
		return nil, err
	}
	form := formOf(o)
	form.JSON = h.sink.form.JSON
	twin := *h
	twin.form = &form
	twin.file = nil
	if o.File != "" {
		twin.file, twin.bare = file, file
		for _, s := range h.scopes {
			if s.group != "" {
				twin.file = twin.file.WithGroup(s.group)
				continue
			}
			attrs := make([]slog.Attr, len(s.attrs))
			for i := range s.attrs {
				attrs[i] = s.attrs[i].attr()
			}
			twin.file = twin.file.WithAttrs(attrs)
		}
	}
	return &twin, nil
}

// Handle implements slog.Handler.
func (h *taskLog) Handle(ctx context.Context, r slog.Record) error {
	rec := logRecord{Level: r.Level, Message: r.Message, Form: h.form, Row: -1}
	if !r.Time.IsZero() {
		rec.Time = r.Time.UnixNano()
	}
	if r.PC != 0 {
		rec.PC = uint64(r.PC) - codeBase()
	}
	t := taskOf(ctx)
	if t == nil {
		t = h.task
	}
	if t != nil && t.fn != nil {
		rec.Func, rec.Rank, rec.Row = t.fn.name, t.rank, t.row
	}
	r.Attrs(func(a slog.Attr) bool {
		rec.Attrs = appendLogAttr(rec.Attrs, a, h.sink.form.JSON)
		return true
	})
	for _, s := range slices.Backward(h.scopes) {
		switch {
		case s.group == "":
			rec.Attrs = append(slices.Clip(s.attrs), rec.Attrs...)
		case len(rec.Attrs) > 0:
			rec.Attrs = []logAttr{{Key: s.group, Kind: uint8(slog.KindGroup), Group: rec.Attrs}}
		}
	}
	attrs := rec.Attrs // encode leaves some out if there is no room for them
	var err error
	if h.sink.form.Level != noLevel {
		var body []byte
		if body, err = rec.encode(); err == nil {
			err = h.sink.send(body)
		}
	}
	if h.file != nil {
		file := h.file
		if t != nil && h.looks().Task { // which is of no group
			file = h.bare
			r = slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
			for i := range attrs {
				r.AddAttrs(attrs[i].attr())
			}
			r.AddAttrs(t.attrs()...)
		}
		if ferr := file.Handle(ctx, r); err == nil {
			err = ferr
		}
	}
	return err
}

// codeBase is where this program's code lies: another process of the same build may have
// it elsewhere.
var codeBase = sync.OnceValue(func() uint64 { return uint64(reflect.ValueOf(Init).Pointer()) })

// logRecord is a log record on its way from a worker to its driver.
type logRecord struct {
	Time    int64 // ns since 1970; 0: none
	Level   slog.Level
	PC      uint64 // relative to codeBase; 0: not known
	Message string
	Func    string // the task's; empty: it is no task's
	Rank    int
	Row     int
	Attrs   []logAttr
	Form    *lineForm // nil: the driver's
}

var recordCodec = func() wire.Codec[logRecord] {
	c, err := wire.CodecFor[logRecord]()
	if err != nil {
		panic(err)
	}
	return c
}()

// maxLogText bounds the texts of a log record.
const maxLogText = 64 << 10

// encode encodes a record within proc.MaxRecord.
func (r *logRecord) encode() ([]byte, error) {
	if len(r.Message) > maxLogText {
		r.Message = text.Cut(r.Message, maxLogText) + fmt.Sprintf("… (%d bytes in all)", len(r.Message))
	}
	b, err := wire.Append(recordCodec, nil, r, nil)
	if err != nil || len(b) > proc.MaxRecord {
		r.Attrs = []logAttr{logAttrOf(slog.Int("xme.attributes_dropped", len(r.Attrs)), false, 0)}
		if f := r.Form; f != nil {
			cut := *f
			cut.Type, cut.Unit = text.Cut(f.Type, maxLogText), text.Cut(f.Unit, maxLogText)
			r.Form = &cut
		}
		b, err = wire.Append(recordCodec, nil, r, nil)
	}
	return b, err
}

// decodeRecord reads what encode wrote.
func decodeRecord(body []byte) (*logRecord, error) {
	r := &logRecord{}
	if err := wire.Decode(recordCodec, body, r, nil); err != nil {
		return nil, err
	}
	return r, nil
}

// write writes the record, made by slogRecord, as a line; task says whether a line says
// which task it is unless the record does.
func (r *logRecord) write(h *xmelog.Handler, rec slog.Record, task bool) error {
	to := slog.Handler(h)
	if r.Form != nil {
		task = r.Form.Task
		var err error
		if to, err = h.WithOptions(func(o *xmelog.Options) { *o = r.Form.options() }); err != nil {
			return err
		}
	}
	if task && r.Func != "" {
		rec = rec.Clone()
		rec.AddAttrs(taskAttrs(r.Func, r.Rank, r.Row)...)
	}
	return to.Handle(context.Background(), rec)
}

// slogRecord makes the record of process pid that r is, for our own lines, or for another
// handler: with what says which task it is of in front.
func (r *logRecord) slogRecord(pid int, ours bool) slog.Record {
	var at time.Time
	if r.Time != 0 {
		at = time.Unix(0, r.Time)
	}
	var pc uintptr
	if r.PC != 0 {
		pc = uintptr(r.PC + codeBase())
	}
	rec := slog.NewRecord(at, r.Level, r.Message, pc)
	if ours {
		rec.AddAttrs(xmelog.PID(pid))
	} else {
		for _, a := range r.Attrs {
			if a.Kind == markPID { // of another process than the one it came from
				pid = int(a.Num)
			}
		}
		rec.AddAttrs(slog.Int("pid", pid))
		if r.Func != "" {
			rec.AddAttrs(taskAttrs(r.Func, r.Rank, r.Row)...)
		}
	}
	for i := range r.Attrs {
		if !ours && r.Attrs[i].Kind == markPID {
			continue
		}
		rec.AddAttrs(r.Attrs[i].attr())
	}
	return rec
}
