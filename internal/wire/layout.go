package wire

import (
	"reflect"
	"strconv"
)

// appendLayout writes out t and everything in it. A named type is written out once and by its name from then on, which ends cycles: seen are those.
func appendLayout(b []byte, t reflect.Type, seen map[reflect.Type]bool) []byte {
	if t.Name() != "" {
		if t.PkgPath() != "" {
			b = append(append(b, t.PkgPath()...), '.')
		}
		b = append(b, t.Name()...)
		if t.PkgPath() == "" || seen[t] {
			return b
		}
		seen[t] = true
		b = append(b, '=')
	}
	switch t.Kind() {
	case reflect.Pointer:
		b = appendLayout(append(b, '*'), t.Elem(), seen)
	case reflect.Slice:
		b = appendLayout(append(b, "[]"...), t.Elem(), seen)
	case reflect.Array:
		b = append(strconv.AppendInt(append(b, '['), int64(t.Len()), 10), ']')
		b = appendLayout(b, t.Elem(), seen)
	case reflect.Map:
		b = appendLayout(append(b, "map["...), t.Key(), seen)
		b = appendLayout(append(b, ']'), t.Elem(), seen)
	case reflect.Struct:
		b = append(b, "struct{"...)
		for f := range t.Fields() {
			b = append(append(b, f.Name...), '@')
			b = append(strconv.AppendUint(b, uint64(f.Offset), 10), ' ')
			if leftOut(f) {
				b = append(b, "- "...)
				continue
			}
			b = append(appendLayout(b, f.Type, seen), ';')
		}
		b = strconv.AppendUint(append(b, '}'), uint64(t.Size()), 10)
	default:
		b = append(b, t.Kind().String()...)
	}
	return b
}
