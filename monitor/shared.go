package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/manager"
)

// kind is what values of a type are that are not JSON in the table.
type kind struct {
	of    reflect.Type // of the value; of its elements, if it is a list or a map of a manager
	shape shape
}

type shape uint8

const (
	plainShape shape = iota
	listShape
	mapShape
)

// kinds are what this process knows of types, by their names: name -> kind.
var kinds sync.Map

var (
	managerPath = reflect.TypeFor[manager.Manager]().PkgPath()
	listPrefix  = "*" + managerPath + ".List["
	mapPrefix   = "*" + managerPath + ".Map["
	textName    = reflect.TypeFor[json.RawMessage]().PkgPath() + ".RawMessage"
)

// handleName is a handle's type as a table names it.
func handleName(t reflect.Type) string { return "*" + t.Elem().PkgPath() + "." + t.Elem().Name() }

// isHandle reports whether t is a list or a map of a manager.
func isHandle(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == managerPath && sharedName(handleName(t))
}

func sharedName(name string) bool {
	return strings.HasPrefix(name, listPrefix) || strings.HasPrefix(name, mapPrefix)
}

func isShared[T any]() bool { return isHandle(reflect.TypeFor[T]()) }

// Element lets the monitors of all processes of a program accept and show lists and maps of a
// manager whose elements are of type E. Call it at package level:
//
//	var _ = monitor.Element[Order]()
func Element[E any]() struct{} {
	e := reflect.TypeFor[E]()
	kinds.Store(handleName(reflect.TypeFor[*manager.List[E]]()), kind{e, listShape})
	kinds.Store(handleName(reflect.TypeFor[*manager.Map[string, E]]()), kind{e, mapShape})
	return struct{}{}
}

// element is Element for types without a package, whose lists and maps need not be compiled for it.
func element[E any]() {
	e := reflect.TypeFor[E]()
	kinds.Store(listPrefix+e.String()+"]", kind{e, listShape})
	kinds.Store(mapPrefix+"string,"+e.String()+"]", kind{e, mapShape})
}

// numbers has lists and maps of a type of numbers work, and values that package manager has put into a table.
func numbers[T Number]() {
	element[T]()
	element[[]T]()
	plain[T]()
	plain[[]T]()
	plain[map[string]T]()
}

// plain has values of a type work that every process knows.
func plain[T any]() {
	t := reflect.TypeFor[T]()
	kinds.Store(t.String(), kind{of: t})
}

// basics has the types work that every process knows. It is done when the first is needed: each worker's start would wait for it.
var basics = sync.OnceFunc(func() {
	element[bool]()
	element[string]()
	element[any]()
	element[[]bool]()
	element[[]string]()
	element[[]any]()
	element[map[string]any]()
	numbers[int]()
	numbers[int8]()
	numbers[int16]()
	numbers[int32]()
	numbers[int64]()
	numbers[uint]()
	numbers[uint8]()
	numbers[uint16]()
	numbers[uint32]()
	numbers[uint64]()
	numbers[float32]()
	numbers[float64]()
})

// kindOf returns what is known of the type of that name.
func kindOf(name string) (kind, bool) {
	basics()
	k, ok := kinds.Load(name)
	if !ok {
		return kind{}, false
	}
	return k.(kind), true
}

// putHandle is a change that gives a key a list or a map as its value.
func putHandle(key string, v any) (manager.Change, error) {
	name := handleName(reflect.TypeOf(v))
	if _, ok := kindOf(name); !ok {
		return manager.Change{}, fmt.Errorf("monitor: the value of %s: %w: %s", briefKey(key), xme.ErrEncode, unknown(name))
	}
	return proc.PutAny(key, v).(manager.Change), nil
}

// show returns a value of the kind as JSON.
func (k kind) show(ctx context.Context, v manager.Value) (json.RawMessage, error) {
	var got any
	var err error
	if k.shape == plainShape {
		got, err = proc.ValueAs(v, k.of)
	} else {
		got, err = proc.ElementsOf(ctx, v, k.of, k.shape == mapShape)
	}
	if err != nil {
		return nil, err
	}
	return encode(got)
}

// unknown says what to do about a list or a map whose elements are not known here.
func unknown(name string) string {
	elem, isList := strings.CutPrefix(name, listPrefix)
	if !isList {
		k, e, _ := strings.Cut(strings.TrimPrefix(name, mapPrefix), ",")
		if k != "string" {
			return fmt.Sprintf("a %s has keys of type %s, and a message's are strings: use a manager.Map with strings as keys", name, k)
		}
		elem = e
	}
	elem = strings.TrimSuffix(elem, "]")
	return fmt.Sprintf("how a %s is shown is not known: write at package level: var _ = monitor.Element[%s]()", name, inSource(elem))
}

// inSource is a type's name, as reflection gives it within that of a list or a map, as a program writes it: a package by its name, without the path to it.
func inSource(name string) string {
	var b strings.Builder
	from := 0 // where the package's path begins, if this is one
	for i := range len(name) {
		switch name[i] {
		case '/':
			from = i + 1
		case '[', ']', '*', ',', '(', ')', '{', '}', ' ', ';':
			b.WriteString(name[from : i+1])
			from = i + 1
		}
	}
	b.WriteString(name[from:])
	return b.String()
}

// show returns a value of the table as JSON.
func show(ctx context.Context, key string, v manager.Value) (json.RawMessage, error) {
	name := v.Type()
	if name == textName {
		return manager.As[json.RawMessage](v)
	}
	if k, ok := kindOf(name); ok {
		text, err := k.show(ctx, v)
		if err != nil {
			return nil, fmt.Errorf("monitor: the value of %s, a %s: %w", briefKey(key), name, err)
		}
		return text, nil
	}
	if sharedName(name) {
		return nil, fmt.Errorf("monitor: the value of %s: %w: %s", briefKey(key), ErrType, unknown(name))
	}
	text := v.String()
	if !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("monitor: the value of %s, a %s, has no JSON: put it with monitor.Set: %w", briefKey(key), name, ErrType)
	}
	return json.RawMessage(text), nil
}
