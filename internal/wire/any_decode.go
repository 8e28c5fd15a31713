package wire

import (
	"fmt"
	"math"
	"reflect"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// anyReader reads CBOR with its bounds set. It checks that all bytes of an item are there before it allocates for them, so counts
// need no bound of their own. Each level of a map[any]any is two of CBOR's: a tag and an array.
var anyReader = sync.OnceValue(func() cbor.DecMode {
	m, err := cbor.DecOptions{
		MaxNestedLevels:  2*maxDepth + 4,
		MaxArrayElements: math.MaxInt32,
		MaxMapPairs:      math.MaxInt32,
		IndefLength:      cbor.IndefLengthForbidden,
		BignumTag:        cbor.BignumTagForbidden,
		DefaultMapType:   reflect.TypeFor[map[string]any](),
		UTF8:             cbor.UTF8DecodeInvalid, // a Go string may hold any bytes
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return m
})

// decodeAny reads the one item that src consists of. src must not change meanwhile: the reader looks at it twice.
func decodeAny(src []byte) (any, *ValueError) {
	if tagsTag(src) {
		return nil, valueErrorf("a tag upon a tag inside any")
	}
	var v any
	// The guard is a second line: the reader is not known to panic.
	if err := guard(func() error { return anyReader().Unmarshal(src, &v) }); err != nil {
		return nil, &ValueError{Reason: "not a value of type any", err: err}
	}
	return revive(v, 0)
}

// tagsTag reports whether some tag's content is another tag. We write no such thing, and the reader takes a time for it that grows
// with the square of their number: seconds for a megabyte. Items follow each other in the bytes as they do in a walk, so one look
// along the bytes is enough. What is not sound CBOR is left to the reader to refuse.
func tagsTag(src []byte) bool {
	afterTag := false
	for len(src) > 0 {
		major, low := src[0]&0xe0, src[0]&0x1f
		src = src[1:]
		arg := uint64(low)
		if low >= 24 {
			n := 1 << (low - 24)
			if low > 27 || len(src) < n {
				return false
			}
			arg = 0
			for _, b := range src[:n] {
				arg = arg<<8 | uint64(b)
			}
			src = src[n:]
		}
		switch major {
		case cborTag:
			if afterTag {
				return true
			}
		case cborBytes, cborText:
			if arg > uint64(len(src)) {
				return false
			}
			src = src[arg:]
		}
		afterTag = major == cborTag
	}
	return false
}

// revive gives what CBOR's reader made its type back: an integer was an int, and a tag says what its content was.
func revive(v any, depth int) (any, *ValueError) {
	if depth > maxDepth {
		return nil, tooDeep()
	}
	switch x := v.(type) {
	case nil, bool, string, []byte, float64:
		return v, nil
	case uint64:
		if x > math.MaxInt {
			return nil, valueErrorf("%d where an int belongs", x)
		}
		return int(x), nil
	case int64:
		if x < math.MinInt {
			return nil, valueErrorf("%d where an int belongs", x)
		}
		return int(x), nil
	case []any:
		for i, e := range x {
			var verr *ValueError
			if x[i], verr = revive(e, depth+1); verr != nil {
				return nil, verr.within(step{index: i})
			}
		}
		return x, nil
	case map[string]any:
		for k, e := range x {
			switch e.(type) {
			case nil, bool, string, []byte, float64:
				continue
			}
			e, verr := revive(e, depth+1)
			if verr != nil {
				return nil, verr.within(step{key: keyText(k)})
			}
			x[k] = e
		}
		return x, nil
	case cbor.Tag:
		return reviveTag(x, depth)
	}
	return nil, unplain("an item", v)
}

func reviveTag(t cbor.Tag, depth int) (any, *ValueError) {
	switch t.Number {
	case tagTime:
		b, _ := t.Content.([]byte)
		var at time.Time
		if err := at.UnmarshalBinary(b); err != nil {
			return nil, &ValueError{Reason: "time.Time.UnmarshalBinary", err: err}
		}
		return at, nil
	case tagAnyMap:
		pairs, ok := t.Content.([]any)
		if !ok || len(pairs)%2 != 0 {
			return nil, unplain("a map[any]any", t.Content)
		}
		return reviveAnyKeys(pairs, depth)
	case tagNil:
		number, _ := t.Content.(uint64)
		if p := plains().byTag[number]; p != nil && p.null != nil {
			return p.null, nil
		}
		return nil, unplain("nil", t.Content)
	}
	p := plains().byTag[t.Number]
	if p == nil || p.decode == nil {
		return nil, valueErrorf("tag %d inside any: no type has it", t.Number)
	}
	v, ok := p.decode(t.Content)
	if !ok {
		return nil, unplain("a "+p.typ.String(), t.Content)
	}
	return v, nil
}

func reviveAnyKeys(pairs []any, depth int) (any, *ValueError) {
	m := make(map[any]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		k, verr := revive(pairs[i], depth+1)
		if verr != nil {
			return nil, verr.within(step{index: i / 2})
		}
		if k != nil && !reflect.TypeOf(k).Comparable() {
			return nil, valueErrorf("a %T is a map's key", k).within(step{index: i / 2})
		}
		if m[k], verr = revive(pairs[i+1], depth+1); verr != nil {
			return nil, verr.within(step{key: keyText(k)})
		}
	}
	if len(m) != len(pairs)/2 {
		return nil, errKeyTwice()
	}
	return m, nil
}

// unplain says that content, of some type of CBOR's reader, is not what belongs there.
func unplain(what string, content any) *ValueError {
	return &ValueError{Reason: fmt.Sprintf("a %T does not make %s inside any", content, what)}
}
