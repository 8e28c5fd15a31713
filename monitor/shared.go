package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// kind is how values of a type are stored and shown that are not JSON in the table.
type kind struct {
	put  func(key string, v any) manager.Change // nil: it is not put by this package
	show func(ctx context.Context, v manager.Value) (json.RawMessage, error)
}

// kinds are what this process knows of types: name -> *kind.
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

// Element has monitors of all processes of a program take and show lists and maps of a manager whose elements are of type E. It stands at package level:
//
//	var _ = monitor.Element[Order]()
func Element[E any]() struct{} {
	kinds.Store(handleName(reflect.TypeFor[*manager.List[E]]()), &kind{
		put: func(key string, v any) manager.Change { return manager.Put(key, v.(*manager.List[E])) },
		show: func(ctx context.Context, v manager.Value) (json.RawMessage, error) {
			l, err := manager.As[*manager.List[E]](v)
			if err != nil {
				return nil, err
			}
			all, err := l.Slice(ctx, 0, -1)
			if err != nil {
				return nil, err
			}
			return encode(all)
		},
	})
	kinds.Store(handleName(reflect.TypeFor[*manager.Map[string, E]]()), &kind{
		put: func(key string, v any) manager.Change { return manager.Put(key, v.(*manager.Map[string, E])) },
		show: func(ctx context.Context, v manager.Value) (json.RawMessage, error) {
			h, err := manager.As[*manager.Map[string, E]](v)
			if err != nil {
				return nil, err
			}
			pairs, err := h.All(ctx)
			if err != nil {
				return nil, err
			}
			return encode(maps.Collect(pairs))
		},
	})
	return struct{}{}
}

// numbers has lists and maps of a type of numbers work, and values that package manager has put into a table.
func numbers[T Number]() {
	Element[T]()
	Element[[]T]()
	name := reflect.TypeFor[T]().String()
	kinds.Store(name, shownAs[T]())
	kinds.Store("[]"+name, shownAs[[]T]())
	kinds.Store("map[string]"+name, shownAs[map[string]T]())
}

// shownAs shows a value of a type that every process knows.
func shownAs[T any]() *kind {
	return &kind{show: func(_ context.Context, v manager.Value) (json.RawMessage, error) {
		got, err := manager.As[T](v)
		if err != nil {
			return nil, err
		}
		return encode(got)
	}}
}

// basics has the types work that every process knows. It is done when the first is needed: each worker's start would wait for it.
var basics = sync.OnceFunc(func() {
	Element[bool]()
	Element[string]()
	Element[any]()
	Element[[]bool]()
	Element[[]string]()
	Element[[]any]()
	Element[map[string]any]()
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
func kindOf(name string) (*kind, bool) {
	basics()
	k, ok := kinds.Load(name)
	if !ok {
		return nil, false
	}
	return k.(*kind), true
}

// kindFor returns how a list or a map is stored.
func kindFor(t reflect.Type, key string) (*kind, error) {
	if k, ok := kindOf(handleName(t)); ok {
		return k, nil
	}
	return nil, fmt.Errorf("monitor: the value of %s: %w: %s", briefKey(key), xme.ErrEncode, unknown(handleName(t)))
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
