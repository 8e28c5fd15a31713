package wire

import (
	"fmt"
	"reflect"
	"strings"
)

// layoutOf writes out t and everything in it. A named type is written out once and by its name from then on, which ends cycles.
func layoutOf(t reflect.Type) string {
	var b strings.Builder
	writeLayout(&b, t, make(map[reflect.Type]bool))
	return b.String()
}

func writeLayout(b *strings.Builder, t reflect.Type, seen map[reflect.Type]bool) {
	if t.Name() != "" {
		if t.PkgPath() != "" {
			b.WriteString(t.PkgPath() + ".")
		}
		b.WriteString(t.Name())
		if t.PkgPath() == "" || seen[t] {
			return
		}
		seen[t] = true
		b.WriteByte('=')
	}
	elem := func(open string) {
		b.WriteString(open)
		writeLayout(b, t.Elem(), seen)
	}
	switch t.Kind() {
	case reflect.Pointer:
		elem("*")
	case reflect.Slice:
		elem("[]")
	case reflect.Array:
		elem(fmt.Sprintf("[%d]", t.Len()))
	case reflect.Map:
		b.WriteString("map[")
		writeLayout(b, t.Key(), seen)
		elem("]")
	case reflect.Struct:
		b.WriteString("struct{")
		for f := range t.Fields() {
			fmt.Fprintf(b, "%s@%d ", f.Name, f.Offset)
			if leftOut(f) {
				b.WriteString("- ")
				continue
			}
			writeLayout(b, f.Type, seen)
			b.WriteByte(';')
		}
		fmt.Fprintf(b, "}%d", t.Size())
	default:
		b.WriteString(t.Kind().String())
	}
}
