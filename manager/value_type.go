package manager

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/wire"
)

// typed is what is known of a type of values that a manager keeps.
type typed struct {
	plan  *wire.Plan
	of    reflect.Type
	name  string
	basic bool // every process can show it: no JSON goes along
}

// types are the typed that were made: reflect.Type -> *typed.
var types sync.Map

// typeOf returns what is known of a type. The error wraps xme.ErrEncode and names the part of it that cannot cross.
func typeOf(t reflect.Type) (*typed, error) {
	if v, ok := types.Load(t); ok {
		return v.(*typed), nil
	}
	plan, err := wire.PlanOf(t)
	if err != nil {
		return nil, errorf("%w: %w", xme.ErrEncode, err)
	}
	if why := plan.Borrowed(); why != "" {
		return nil, errorf("%w: a value of type %v cannot be kept: %s", xme.ErrEncode, t, why)
	}
	k := &typed{plan: plan, of: t, name: typeName(t)}
	_, k.basic = basics[k.name]
	v, _ := types.LoadOrStore(t, k)
	return v.(*typed), nil
}

// typeName is a type's name with the paths of packages, the same in all processes of a program.
func typeName(t reflect.Type) string {
	if t.Name() != "" {
		if t.PkgPath() == "" {
			return t.Name()
		}
		return t.PkgPath() + "." + t.Name()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + typeName(t.Elem())
	case reflect.Slice:
		return "[]" + typeName(t.Elem())
	case reflect.Array:
		return "[" + strconv.Itoa(t.Len()) + "]" + typeName(t.Elem())
	case reflect.Map:
		return "map[" + typeName(t.Key()) + "]" + typeName(t.Elem())
	case reflect.Struct:
		var b strings.Builder
		b.WriteString("struct {")
		for f := range t.Fields() {
			b.WriteString(" " + f.Name + " " + typeName(f.Type) + ";")
		}
		return b.String() + " }"
	}
	return t.String()
}

// basics are the types whose values every process can show, by their names.
var basics = map[string]reflect.Type{}

func basic[T any]() { addBasic(reflect.TypeFor[T]()) }

func addBasic(t reflect.Type) { basics[typeName(t)] = t }

func init() {
	basic[bool]()
	basic[string]()
	basicNumber[int]()
	basicNumber[int8]()
	basicNumber[int16]()
	basicNumber[int32]()
	basicNumber[int64]()
	basicNumber[uint]()
	basicNumber[uint8]()
	basicNumber[uint16]()
	basicNumber[uint32]()
	basicNumber[uint64]()
	basicNumber[float32]()
	basicNumber[float64]()
	basic[[]bool]()
	basic[[]string]()
	basic[map[string]string]()
	basic[map[string]bool]()
	basic[time.Time]()
	basic[time.Duration]()
	basic[json.RawMessage]()
}

func basicNumber[T number]() {
	basic[T]()
	basic[[]T]()
	basic[map[string]T]()
}
