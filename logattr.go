package xme

import (
	"encoding/json"
	"log/slog"
	"math"
	"time"

	"github.com/xenonmp/xme/internal/logmark"
	"github.com/xenonmp/xme/internal/text"
	"github.com/xenonmp/xme/xmelog"
)

// logAttr is an attribute of a log record on its way. What is of no kind that slog knows
// travels as text, and as JSON for handlers that print that.
type logAttr struct {
	Key   string
	Kind  uint8 // a slog.Kind, or one of those below
	Num   uint64
	Text  string
	JSON  string
	Group []logAttr
}

// Kinds beside slog's.
const (
	markType = 64 + iota
	markIndent
	markPID
)

// maxLogDepth is how deep groups in a record may nest; what is deeper is left out.
const maxLogDepth = 64

// appendLogAttr appends an attribute that means something.
func appendLogAttr(list []logAttr, a slog.Attr, asJSON bool) []logAttr {
	return appendDeepAttr(list, a, asJSON, 0)
}

func appendDeepAttr(list []logAttr, a slog.Attr, asJSON bool, depth int) []logAttr {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) || a.Value.Kind() == slog.KindGroup && len(a.Value.Group()) == 0 {
		return list
	}
	return append(list, logAttrOf(a, asJSON, depth))
}

func logAttrOf(a slog.Attr, asJSON bool, depth int) logAttr {
	v := a.Value
	l := logAttr{Key: a.Key, Kind: uint8(v.Kind())}
	switch v.Kind() {
	case slog.KindString:
		l.Text = v.String()
	case slog.KindInt64:
		l.Num = uint64(v.Int64())
	case slog.KindUint64:
		l.Num = v.Uint64()
	case slog.KindFloat64:
		l.Num = math.Float64bits(v.Float64())
	case slog.KindBool:
		if v.Bool() {
			l.Num = 1
		}
	case slog.KindDuration:
		l.Num = uint64(v.Duration())
	case slog.KindTime:
		b, err := v.Time().MarshalBinary()
		if err != nil { // a year beyond what it holds
			return logAttrOf(slog.String(a.Key, v.Time().String()), asJSON, depth)
		}
		l.Text = string(b)
	case slog.KindGroup:
		if depth >= maxLogDepth {
			return logAttrOf(slog.String(a.Key, "…"), asJSON, depth)
		}
		for _, a := range v.Group() {
			l.Group = appendDeepAttr(l.Group, a, asJSON, depth+1)
		}
	default:
		l.any(v.Any(), asJSON)
	}
	if len(l.Text) > maxLogText {
		l.Text = text.Cut(l.Text, maxLogText) + "…"
	}
	return l
}

// any takes a value of a type of its own.
func (l *logAttr) any(v any, asJSON bool) {
	l.Kind = uint8(slog.KindAny)
	switch mark := v.(type) {
	case logmark.Type:
		l.Kind, l.Text = markType, string(mark)
		return
	case logmark.Indent:
		l.Kind, l.Num = markIndent, uint64(mark)
		return
	case logmark.PID:
		l.Kind, l.Num = markPID, uint64(mark)
		return
	}
	l.Text = xmelog.TextOf(v)
	if asJSON {
		l.JSON = jsonOf(v, l.Text)
	}
}

// jsonOf returns v as slog.JSONHandler prints it; text if it cannot be had.
func jsonOf(v any, text string) (out string) {
	defer func() {
		if recover() != nil {
			out = ""
		}
	}()
	_, marshals := v.(json.Marshaler)
	if _, isErr := v.(error); isErr && !marshals {
		v = text
	}
	b, err := json.Marshal(v)
	if err != nil || len(b) > maxLogText {
		return ""
	}
	return string(b)
}

// attr makes the attribute again.
func (l *logAttr) attr() slog.Attr { return l.deep(0) }

func (l *logAttr) deep(depth int) slog.Attr {
	a := slog.Attr{Key: l.Key}
	if depth > maxLogDepth { // no task's, but that of a worker that writes what it likes
		a.Value = slog.StringValue("…")
		return a
	}
	switch l.Kind {
	case uint8(slog.KindString):
		a.Value = slog.StringValue(l.Text)
	case uint8(slog.KindInt64):
		a.Value = slog.Int64Value(int64(l.Num))
	case uint8(slog.KindUint64):
		a.Value = slog.Uint64Value(l.Num)
	case uint8(slog.KindFloat64):
		a.Value = slog.Float64Value(math.Float64frombits(l.Num))
	case uint8(slog.KindBool):
		a.Value = slog.BoolValue(l.Num != 0)
	case uint8(slog.KindDuration):
		a.Value = slog.DurationValue(time.Duration(l.Num))
	case uint8(slog.KindTime):
		var t time.Time
		_ = t.UnmarshalBinary([]byte(l.Text)) // what its own worker wrote there is its own fault
		a.Value = slog.TimeValue(t)
	case uint8(slog.KindGroup):
		group := make([]slog.Attr, len(l.Group))
		for i := range l.Group {
			group[i] = l.Group[i].deep(depth + 1)
		}
		a.Value = slog.GroupValue(group...)
	case markType:
		a.Value = slog.AnyValue(logmark.Type(l.Text))
	case markIndent:
		a.Value = slog.AnyValue(logmark.Indent(l.Num))
	case markPID:
		a.Value = slog.AnyValue(logmark.PID(l.Num))
	default:
		a.Value = slog.AnyValue(loggedValue{l.Text, l.JSON})
	}
	return a
}

// loggedValue is a value that was logged in another process.
type loggedValue struct{ text, json string }

func (v loggedValue) String() string               { return v.text }
func (v loggedValue) MarshalText() ([]byte, error) { return []byte(v.text), nil }

// MarshalJSON implements json.Marshaler, which checks what it returns.
func (v loggedValue) MarshalJSON() ([]byte, error) {
	if v.json == "" {
		return json.Marshal(v.text)
	}
	return []byte(v.json), nil
}
