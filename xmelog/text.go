package xmelog

import (
	"encoding"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/xenonmp/xme/internal/text"
)

// appendValue appends a value as slog.TextHandler prints it, cut to what there is room for.
func appendValue(dst []byte, v slog.Value, room int) []byte {
	var said string
	switch v.Kind() {
	case slog.KindString:
		said = v.String()
	case slog.KindInt64:
		return strconv.AppendInt(dst, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(dst, v.Uint64(), 10)
	case slog.KindFloat64:
		return strconv.AppendFloat(dst, v.Float64(), 'g', -1, 64)
	case slog.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case slog.KindDuration:
		return append(dst, v.Duration().String()...)
	case slog.KindTime:
		return v.Time().AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
	default:
		said = TextOf(v.Any())
	}
	some := text.Cut(said, room) // what of it is escaped takes up to four times that
	if dst = appendQuoted(dst, some); len(some) < len(said) {
		dst = fmt.Appendf(dst, "… (%d bytes more)", len(said)-len(some))
	}
	return dst
}

// TextOf returns the value of an attribute as text: by its MarshalText, Error or String
// method if it has one, and otherwise as fmt prints it with %+v. If the method panics,
// the text says so. TextOf is for handlers that keep a record's values as text, for
// another process or for later, and should show what a [Handler] shows: package xme uses
// it for the records of tasks.
func TextOf(v any) (text string) {
	defer func() {
		if r := recover(); r != nil {
			if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && p.IsNil() {
				text = "<nil>"
				return
			}
			text = fmt.Sprintf("!PANIC: %v", r)
		}
	}()
	switch v := v.(type) {
	case encoding.TextMarshaler:
		b, err := v.MarshalText()
		if err != nil {
			return "!ERROR:" + err.Error()
		}
		return string(b)
	case []byte:
		return string(v)
	case *slog.Source:
		return v.File + ":" + strconv.Itoa(v.Line)
	}
	return fmt.Sprintf("%+v", v)
}

// appendQuoted appends s, quoted if it is not plain.
func appendQuoted(dst []byte, s string) []byte {
	if plain(s) {
		return append(dst, s...)
	}
	return strconv.AppendQuote(dst, s)
}

// plain reports whether s needs no quotes: the rule of slog.TextHandler.
func plain(s string) bool {
	if s == "" {
		return false
	}
	for i := 0; i < len(s); {
		b := s[i]
		if b < utf8.RuneSelf {
			if b <= ' ' || b == '=' || b == '"' || b == 0x7f {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return false
		}
		i += size
	}
	return true
}

// appendText appends a message, control characters escaped; tabs may stay.
func appendText(dst []byte, s string, tabs bool) []byte {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = fmt.Appendf(dst, "\\x%02x", s[i])
		case r == '\t' && tabs, !unicode.IsControl(r) && r != '\u2028' && r != '\u2029':
			dst = append(dst, s[i:i+size]...)
		case r < utf8.RuneSelf:
			dst = fmt.Appendf(dst, "\\x%02x", r)
		default:
			dst = fmt.Appendf(dst, "\\u%04x", r)
		}
		i += size
	}
	return dst
}
