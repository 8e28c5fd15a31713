package xmelog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xenonmp/xme/internal/logmark"
	"github.com/xenonmp/xme/internal/text"
)

// Handler writes records as lines, each record with one Write. It may be used from any
// goroutine, as may the handlers derived from it; they write one at a time.
type Handler struct {
	o     Options
	w     io.Writer // nil: none
	mu    *sync.Mutex
	file  *file // nil: none
	marks marks
	attrs []byte // " key=value" of WithAttrs
	group string // of WithGroup, with dots
}

// marks is what attributes say of the line.
type marks struct {
	kind   string
	indent int
	pid    int
	noPID  bool
	full   bool // there are more attributes than are written
}

// New returns a handler that writes to w, which may be nil, and to o.File if set. The
// error says why the file cannot be opened, or which option makes no sense.
func New(w io.Writer, o Options) (*Handler, error) {
	h := &Handler{w: w, mu: &sync.Mutex{}, marks: marks{pid: os.Getpid()}}
	return h.with(o)
}

// with returns a handler like h with other options.
func (h *Handler) with(o Options) (*Handler, error) {
	if o.Width < 0 {
		return nil, fmt.Errorf("xmelog: Options.Width is %d: 0 takes the default of %d", o.Width, defaultWidth)
	}
	twin := *h
	if twin.o.File != o.File {
		twin.file = nil
		if o.File != "" {
			f, err := openFile(o.File)
			if err != nil {
				return nil, fmt.Errorf("xmelog: Options.File: %w", err)
			}
			twin.file = f
		}
	}
	twin.o = o
	if twin.o.Level == nil {
		twin.o.Level = slog.LevelInfo
	}
	if twin.o.Unit == "" {
		twin.o.Unit = defaultUnit
	}
	if twin.o.Width == 0 {
		twin.o.Width = defaultWidth
	}
	return &twin, nil
}

// Options returns the options of h.
func (h *Handler) Options() Options { return h.o }

// WithOptions returns a handler like h with options changed by set, which is given h's:
// what [With] does for loggers, for those who have only the handler. If a handler of
// another package has this method, because it wraps a Handler, for example, With uses it
// too. The error says why the file cannot be opened, or which option makes no sense.
func (h *Handler) WithOptions(set func(*Options)) (slog.Handler, error) {
	o := h.o
	set(&o)
	return h.with(o)
}

// With returns a logger like l with options changed by set, which is given those that l
// has.
//
// In a task it serves, for example, to give the task a log file of its own or to leave
// out the time: all options but File are then honoured by the process that writes the
// lines, which is the driver. If l's handler is of another package, its own output stays
// as it is, and only Level and File count: what it accepts is also written to the file.
//
// If the file cannot be opened, or an option makes no sense, With returns l and an error
// that says so.
func With(l *slog.Logger, set func(*Options)) (*slog.Logger, error) {
	var h slog.Handler
	var err error
	if d, ok := l.Handler().(interface {
		WithOptions(set func(*Options)) (slog.Handler, error)
	}); ok {
		h, err = d.WithOptions(set)
	} else {
		h, err = beside(l.Handler(), set)
	}
	if err != nil {
		return l, err
	}
	return slog.New(h), nil
}

// Enabled implements [slog.Handler].
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.o.Level.Level()
}

// WithGroup implements [slog.Handler].
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	twin := *h
	twin.group += name + "."
	return &twin
}

// WithAttrs implements [slog.Handler].
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	twin := *h
	twin.attrs = append([]byte(nil), h.attrs...)
	for _, a := range attrs {
		twin.attrs = twin.marks.append(twin.attrs, h.group, a)
	}
	return &twin
}

// Handle implements [slog.Handler]. It returns the error of the writer, or of the file.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	buf := buffers.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= maxBuffer {
			buffers.Put(buf)
		}
	}()
	*buf = h.Append((*buf)[:0], r)
	var errs [2]error
	if h.w != nil {
		errs[0] = h.write(*buf)
	}
	if h.file != nil {
		errs[1] = h.file.write(*buf)
	}
	return errors.Join(errs[:]...)
}

func (h *Handler) write(b []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(b)
	return err
}

// maxBuffer is above what most records take: what is larger is not kept.
const maxBuffer = 16 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Append appends the lines that Handle would write for a record, regardless of h's level,
// and writes nothing. It is for those who write the lines themselves, to several places
// or subject to a limit of their own, as package xme does with what its workers log.
func (h *Handler) Append(dst []byte, r slog.Record) []byte {
	m := h.marks
	var own [256]byte
	attrs := own[:0]
	r.Attrs(func(a slog.Attr) bool {
		attrs = m.append(attrs, h.group, a)
		return true
	})
	kind := m.kind
	switch {
	case h.o.NoType:
		kind = ""
	case kind != "":
	case r.Level >= slog.LevelWarn:
		kind = r.Level.String()
	default:
		kind = h.o.Type
	}
	begin := len(dst)
	pid := m.pid
	if m.noPID {
		pid = 0
	}
	dst = h.appendPrefix(dst, kind, r.Time, pid)
	if !h.o.NoIndent {
		dst = h.appendIndent(dst, m.indent)
	}
	prefix := dst[begin:]
	for first := true; ; first = false {
		line, rest, more := strings.Cut(r.Message, "\n")
		if !first {
			dst = append(append(dst, '\n'), prefix...)
		}
		line = strings.TrimSuffix(line, "\r")
		some := text.Cut(line, maxRecord-(len(dst)-begin))
		dst = appendText(dst, some, true)
		if r.Message = rest; len(some) == len(line) && (!more || rest == "") {
			break // one newline at the end is no line of its own
		}
		if len(some) < len(line) || len(dst)-begin > maxRecord {
			dst = fmt.Appendf(dst, "… (%d bytes more)", len(line)-len(some)+len(rest))
			break
		}
	}
	dst = append(dst, h.attrs...)
	dst = append(dst, attrs...)
	return append(dst, '\n')
}

// Bounds of what a record may become, however little it is itself.
const (
	maxRecord = 1 << 20 // about, of all its lines, and of its attributes
	maxIndent = 4 << 10
	maxPart   = 1 << 10 // of a type, a unit, the names of groups
)

func (h *Handler) appendIndent(dst []byte, steps int) []byte {
	unit := cut(h.o.Unit)
	most := maxIndent / len(unit)
	if steps <= 0 || h.o.Width <= 0 {
		return dst
	}
	n := min(steps, most) * min(h.o.Width, most)
	for range min(n, most) {
		dst = append(dst, unit...)
	}
	return dst
}

// cut cuts what could be repeated often.
func cut(s string) string {
	if len(s) > maxPart {
		return s[:maxPart]
	}
	return s
}

// appendPrefix appends what stands before a message; pid 0: no process.
func (h *Handler) appendPrefix(dst []byte, kind string, at time.Time, pid int) []byte {
	begin := len(dst)
	if kind != "" {
		dst = append(appendText(append(dst, '('), cut(kind), false), ')')
	}
	if !h.o.NoTime && !at.IsZero() {
		dst = at.Local().AppendFormat(dst, "2006-01-02 15:04:05")
	}
	if !h.o.NoPID && pid != 0 {
		dst = append(strconv.AppendInt(append(dst, "(pid@"...), int64(pid), 10), ')')
	}
	if len(dst) > begin {
		dst = append(dst, ':')
	}
	return dst
}

// AppendLine appends a line that something else has made, unchanged, behind the beginning
// of a line of process pid, and a newline; it writes nothing. It makes what a program
// prints look like what it logs: package xme uses it for what workers print, and programs
// that start other processes can use it for their output. A zero at shows no time, a pid
// of 0 no process.
func (h *Handler) AppendLine(dst []byte, at time.Time, pid int, line []byte) []byte {
	kind := h.o.Type
	if h.o.NoType {
		kind = ""
	}
	return append(append(h.appendPrefix(dst, kind, at, pid), line...), '\n')
}

// append appends " key=value" of an attribute, or notes what it says of the line.
func (m *marks) append(dst []byte, group string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		if a.Key != "" {
			group = cut(group + a.Key + ".")
		}
		for _, a := range v.Group() {
			dst = m.append(dst, group, a)
		}
		return dst
	case slog.KindAny:
		switch mark := v.Any().(type) {
		case logmark.Type:
			m.kind = string(mark)
			return dst
		case logmark.Indent:
			m.indent += int(mark)
			return dst
		case logmark.PID:
			m.pid, m.noPID = int(mark), mark == 0
			return dst
		}
	}
	switch {
	case a.Equal(slog.Attr{}):
		return dst
	case len(dst) > maxRecord:
		if !m.full {
			m.full = true
			dst = append(dst, " …"...)
		}
		return dst
	}
	room := maxRecord - len(dst)
	dst = append(dst, ' ')
	dst = appendQuoted(dst, text.Cut(group+a.Key, room))
	dst = append(dst, '=')
	return appendValue(dst, v, room)
}
