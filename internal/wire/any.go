package wire

import (
	"encoding/binary"
	"math"
	"reflect"
	"time"
)

// An any crosses as one CBOR item (RFC 8949), because only the value says what it is. What arrives has the type that was sent:
//
//	nil, bool, string, []byte, []any, map[string]any     as CBOR has them
//	int, float64                                         CBOR integer, double
//	all other numbers, time.Duration                     tag of the type, byte string of the number in memory
//	[]T of those, of int, float64 and bool               tag of the type, byte string of the elements in memory
//	map[string]T of the same                             tag of the type, array of the keys and a byte string of the elements
//	[]string, map[string]string                          tag of the type, array, map
//	time.Time                                            tag of the type, its MarshalBinary
//	map[any]any                                          tag of the type, array of key, element, key, element …
//	a nil slice or map                                   tag, number of the type
//
// The tags are private, see plainTags. Other types, named ones included, are refused: nothing on the other side could tell them
// from the plain ones. Encoding is a walk over the value, which has to look at every part in any case, to name the one that
// cannot cross; decoding, where the bytes are not to be trusted, is fxamacker/cbor's with its bounds set. (any_decode.go.)

// The major types of CBOR, where an item's first byte has them.
const (
	cborUint  = 0 << 5
	cborNeg   = 1 << 5
	cborBytes = 2 << 5
	cborText  = 3 << 5
	cborArray = 4 << 5
	cborMap   = 5 << 5
	cborTag   = 6 << 5
	cborFalse = 7<<5 | 20
	cborTrue  = 7<<5 | 21
	cborNil   = 7<<5 | 22
	cborFloat = 7<<5 | 27
)

// appendHead begins an item: its major type and its argument, in the fewest bytes.
func appendHead(dst []byte, major byte, arg uint64) []byte {
	switch {
	case arg < 24:
		return append(dst, major|byte(arg))
	case arg <= math.MaxUint8:
		return append(dst, major|24, byte(arg))
	case arg <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(arg))
	case arg <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), arg)
}

func appendTextItem(dst []byte, s string) []byte {
	return append(appendHead(dst, cborText, uint64(len(s))), s...)
}

// appendAny appends the item of v, which lies at the given depth of slices and maps inside an any.
func appendAny(e *encoder, dst []byte, v any, depth int) ([]byte, *ValueError) {
	if depth > maxDepth {
		return dst, tooDeep()
	}
	if verr := e.fits(dst); verr != nil {
		return dst, verr
	}
	switch x := v.(type) {
	case nil:
		return append(dst, cborNil), nil
	case bool:
		if x {
			return append(dst, cborTrue), nil
		}
		return append(dst, cborFalse), nil
	case string:
		return appendTextItem(dst, x), nil
	case int:
		if x < 0 {
			return appendHead(dst, cborNeg, uint64(^x)), nil
		}
		return appendHead(dst, cborUint, uint64(x)), nil
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, cborFloat), math.Float64bits(x)), nil
	case []byte:
		if x != nil {
			return append(appendHead(dst, cborBytes, uint64(len(x))), x...), nil
		}
	case []any:
		if x != nil {
			return appendAnySlice(e, dst, x, depth)
		}
	case map[string]any:
		if x != nil {
			return appendAnyMap(e, dst, x, depth)
		}
	case map[any]any:
		if x != nil {
			return appendAnyKeys(e, dst, x, depth)
		}
	case time.Time:
		b, err := x.MarshalBinary()
		if err != nil {
			return dst, &ValueError{Reason: "time.Time.MarshalBinary", err: err}
		}
		dst = appendHead(dst, cborTag, tagTime)
		return append(appendHead(dst, cborBytes, uint64(len(b))), b...), nil
	}
	p := plains().byType[reflect.TypeOf(v)]
	if p == nil {
		return dst, valueErrorf("a %T: only plain values cross inside any; make it a typed field", v)
	}
	if p.isNil(v) {
		return appendHead(appendHead(dst, cborTag, tagNil), cborUint, p.tag), nil
	}
	return p.append(appendHead(dst, cborTag, p.tag), v), nil
}

func appendAnySlice(e *encoder, dst []byte, s []any, depth int) ([]byte, *ValueError) {
	dst = appendHead(dst, cborArray, uint64(len(s)))
	for i, v := range s {
		var verr *ValueError
		if dst, verr = appendAny(e, dst, v, depth+1); verr != nil {
			return dst, verr.within(step{index: i})
		}
	}
	return dst, nil
}

func appendAnyMap(e *encoder, dst []byte, m map[string]any, depth int) ([]byte, *ValueError) {
	dst = appendHead(dst, cborMap, uint64(len(m)))
	for k, v := range m {
		var verr *ValueError
		if dst, verr = appendAny(e, appendTextItem(dst, k), v, depth+1); verr != nil {
			return dst, verr.within(step{key: keyText(k)})
		}
	}
	return dst, nil
}

func appendAnyKeys(e *encoder, dst []byte, m map[any]any, depth int) ([]byte, *ValueError) {
	dst = appendHead(dst, cborTag, tagAnyMap)
	dst = appendHead(dst, cborArray, 2*uint64(len(m)))
	for k, v := range m {
		var verr *ValueError
		if dst, verr = appendAny(e, dst, k, depth+1); verr == nil {
			dst, verr = appendAny(e, dst, v, depth+1)
		}
		if verr != nil {
			return dst, verr.within(step{key: keyText(k)})
		}
	}
	return dst, nil
}

// anySize estimates the size of v's item, by what v holds itself.
func anySize(v any) int {
	const small = 16
	switch x := v.(type) {
	case nil:
		return 1
	case string:
		return small + len(x)
	case []byte:
		return small + len(x)
	case []any:
		return small + small*len(x)
	case map[string]any:
		return small + 2*small*len(x)
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Slice:
		return small + r.Len()*int(r.Type().Elem().Size())
	case reflect.Map:
		return small + 2*small*r.Len()
	}
	return small
}
