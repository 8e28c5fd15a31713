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

// typed is what is known of T as the type of values that a manager keeps.
type typed[T any] struct {
	codec *wire.Codec[T]
	name  string
	basic bool // every process can show it: no JSON goes along
}

// types are the typed that were made: reflect.Type -> *typed[T].
var types sync.Map

// typeOf returns what is known of T. The error wraps xme.ErrEncode and names the part of T that cannot cross.
func typeOf[T any]() (*typed[T], error) {
	t := reflect.TypeFor[T]()
	if v, ok := types.Load(t); ok {
		return v.(*typed[T]), nil
	}
	codec, err := wire.CodecFor[T]()
	if err != nil {
		return nil, errorf("%w: %w", xme.ErrEncode, err)
	}
	if why := codec.Borrowed(); why != "" {
		return nil, errorf("%w: a value of type %v cannot be kept: %s", xme.ErrEncode, t, why)
	}
	k := &typed[T]{codec: codec, name: typeName(t)}
	_, k.basic = basics[k.name]
	v, _ := types.LoadOrStore(t, k)
	return v.(*typed[T]), nil
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

// basics show values of the types that every process knows, by the types' names.
var basics = map[string]func(encoded []byte) ([]byte, error){}

func basic[T any]() {
	codec := sync.OnceValue(mustCodec[T]) // made when it is first needed: each worker's start would wait for it
	basics[typeName(reflect.TypeFor[T]())] = func(encoded []byte) ([]byte, error) {
		var v T
		if err := codec().Decode(encoded, &v, nil); err != nil {
			return nil, err
		}
		return json.Marshal(v)
	}
}

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
