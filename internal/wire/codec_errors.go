package wire

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// A TypeError says that a type cannot cross to another process: where in it, what, why, and what to write instead. It is found
// when a codec is compiled, so when a function is registered, never when one is called.
type TypeError struct {
	Path   string // the place in the type, such as "Config.Inner.cb"; "" for the type itself. Elements are "[]", map keys "[key]"
	Type   string // the type found there
	Reason string // why it cannot cross
	Remedy string // what to write instead
}

// Error is one line: what, where, why, and what to write instead.
func (e *TypeError) Error() string {
	where := "type " + e.Type
	if e.Path != "" {
		where = e.Path + " (" + e.Type + ")"
	}
	return where + " cannot cross to another process: " + e.Reason + "; " + e.Remedy
}

// A ValueError says that one value cannot be encoded, or that bytes cannot be decoded, though the type is sound.
type ValueError struct {
	Path   string // the place in the value, such as `Config.Args["threshold"][3]`; "" for the value itself
	Reason string
	err    error  // what a marshaler, a handle or the system said; may be nil
	steps  []step // the path while it is collected, innermost first
}

// Error is one line: where, what, and the cause if there is one.
func (e *ValueError) Error() string {
	s := e.Reason
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	if e.err != nil {
		s += ": " + e.err.Error()
	}
	return s
}

// Unwrap returns the cause, or nil.
func (e *ValueError) Unwrap() error { return e.err }

// A step leads from a value to a part of it: a field if name is set, a map's entry if key is set, else an element.
type step struct {
	name, key string
	index     int
}

// within notes the step that led to where e arose. Nodes call it on the way out, so that a path costs nothing until it is needed.
func (e *ValueError) within(s step) *ValueError {
	e.steps = append(e.steps, s)
	return e
}

// The longest path that is written out; the middle of a longer one is left out. A cycle makes paths of thousands of steps.
const (
	pathHead = 12
	pathTail = 4
)

// finish turns the steps into Path, below a root of the given name.
func (e *ValueError) finish(root string) *ValueError {
	var b strings.Builder
	b.WriteString(root)
	for i := len(e.steps) - 1; i >= 0; i-- {
		if i == len(e.steps)-1-pathHead && i >= pathTail {
			b.WriteString("…")
			i = pathTail - 1
		}
		switch s := e.steps[i]; {
		case s.name != "":
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.name)
		case s.key != "":
			b.WriteString("[" + s.key + "]")
		default:
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		}
	}
	e.steps = nil
	if e.Path = b.String(); e.Path == root {
		e.Path = ""
	}
	return e
}

// keyText shows a map's key in a path: strings quoted, what leads to nothing else as printed, by a copy in any case, of others the type: there may be a cycle.
func keyText(k any) string {
	const most = 40
	if !leadsNowhere(reflect.TypeOf(k)) {
		return fmt.Sprintf("%T", k)
	}
	s := fmt.Sprint(k)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	if _, text := k.(string); text || s == "" {
		s = strconv.Quote(s)
	}
	return s
}

// leadsNowhere reports whether values of a type hold nothing but numbers, bools and strings.
func leadsNowhere(t reflect.Type) bool {
	if t == nil {
		return true
	}
	switch t.Kind() {
	case reflect.Array:
		return leadsNowhere(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if !leadsNowhere(f.Type) {
				return false
			}
		}
		return true
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice, reflect.UnsafePointer:
		return false
	default:
		return true
	}
}

// errKeyTwice is of a map with fewer keys than were sent.
func errKeyTwice() *ValueError {
	return valueErrorf("a map holds a key twice, or two keys that encode themselves alike (of time.Time use UTC().Round(0), which leaves out the place and the monotonic clock)")
}

func valueErrorf(format string, args ...any) *ValueError {
	return &ValueError{Reason: fmt.Sprintf(format, args...)}
}

func tooDeep() *ValueError {
	return valueErrorf("nested deeper than %d levels: is there a cycle?", maxDepth)
}

func wrongLength(have, want int) *ValueError {
	return valueErrorf("%d bytes encoded where the type takes %d", have, want)
}

func shortInput(have, want int) *ValueError {
	return valueErrorf("encoded value ends early: %d bytes left, at least %d needed", have, want)
}
