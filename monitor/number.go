package monitor

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// numberName is the name of a number's type in a message; empty: it is none.
func numberName(t reflect.Type) string {
	switch k := t.Kind(); {
	case k == reflect.Int:
		return "int64"
	case k == reflect.Uint:
		return "uint64"
	case k >= reflect.Int8 && k <= reflect.Int64, k >= reflect.Uint8 && k <= reflect.Uint64, k == reflect.Float32, k == reflect.Float64:
		return k.String()
	}
	return ""
}

// numberTypes are the types of arrays, by their names in a message.
var numberTypes = map[string]reflect.Type{}

func init() {
	for _, t := range []reflect.Type{
		reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
		reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
		reflect.TypeFor[float32](), reflect.TypeFor[float64](),
	} {
		numberTypes[t.String()] = t
	}
}

// openArray writes an array up to its elements.
func openArray(dst []byte, elem reflect.Type, shape []int) []byte {
	dst = append(append(append(dst, `{"$array":"`...), numberName(elem)...), `","shape":[`...)
	for i, n := range shape {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	return append(dst, `],"data":[`...)
}

// appendNumbers writes the elements of slices of numbers, without brackets. first: none stands before them.
func appendNumbers(dst []byte, v reflect.Value, first bool) []byte {
	deep := v.Type().Elem().Kind() == reflect.Slice || v.Type().Elem().Kind() == reflect.Array
	for i := range v.Len() {
		if deep {
			n := len(dst)
			dst = appendNumbers(dst, v.Index(i), first)
			first = first && len(dst) == n
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendNumber(dst, v.Index(i))
	}
	return dst
}

func appendNumber(dst []byte, v reflect.Value) []byte {
	switch {
	case v.CanInt():
		return strconv.AppendInt(dst, v.Int(), 10)
	case v.CanUint():
		return strconv.AppendUint(dst, v.Uint(), 10)
	}
	switch f := v.Float(); {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	default:
		return strconv.AppendFloat(dst, f, 'g', -1, v.Type().Bits())
	}
}

// setNumber reads the text of a number into v.
func setNumber(v reflect.Value, text []byte) error {
	var err error
	switch {
	case len(text) == 0:
		return errBroken
	case v.CanInt():
		var n int64
		if n, err = strconv.ParseInt(string(text), 10, v.Type().Bits()); err == nil {
			v.SetInt(n)
		}
	case v.CanUint():
		var n uint64
		if n, err = strconv.ParseUint(string(text), 10, v.Type().Bits()); err == nil {
			v.SetUint(n)
		}
	default:
		var f float64
		switch string(text) {
		case `"NaN"`:
			f = math.NaN()
		case `"Infinity"`:
			f = math.Inf(1)
		case `"-Infinity"`:
			f = math.Inf(-1)
		default:
			if text[0] != '-' && (text[0] < '0' || text[0] > '9') { // ParseFloat reads more than JSON has
				return fmt.Errorf("%s is no number: %w", brief(text), ErrType)
			}
			f, err = strconv.ParseFloat(string(text), v.Type().Bits())
		}
		v.SetFloat(f)
	}
	if err != nil {
		return fmt.Errorf("%s is no %v: %w", brief(text), v.Type(), ErrType)
	}
	return nil
}
