package wire_test

import (
	"bytes"
	"fmt"
	"math/big"
	"net/netip"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/wire"
)

// allocated is the number of bytes that the program has allocated on the heap so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// A survivor decodes hostile bytes as some type: no panic, no memory but a multiple of what came, and if it is a value, it crosses.
type survivor func(t *testing.T, src []byte)

func survive[T any](perByte int) survivor {
	return func(t *testing.T, src []byte) {
		c := codecFor[T](t)
		var first, second T
		before := allocated()
		err := wire.Decode(c, src, &first, nil)
		if n := allocated() - before; n > 1<<20+uint64(perByte*len(src)) {
			t.Fatalf("%d bytes allocated for %d", n, len(src))
		}
		if err != nil {
			return
		}
		once, err := wire.Append(c, nil, &first, nil)
		if err != nil {
			t.Fatalf("a value that came cannot go: %v", err)
		}
		if err := wire.Decode(c, once, &second, nil); err != nil {
			t.Fatalf("what Append wrote: %v", err)
		}
		twice, err := wire.Append(c, nil, &second, nil)
		if err != nil {
			t.Fatal(err)
		}
		// Maps come in any order, so the bytes may, too; NaN rules out a comparison of the values.
		slices.Sort(once)
		slices.Sort(twice)
		if !bytes.Equal(once, twice) {
			t.Fatalf("%+v became %+v", first, second)
		}
	}
}

var survivors = []survivor{
	survive[hidden](1),
	survive[mixed](50),
	survive[[]mixed](100),
	survive[tree](100),
	survive[nest](100),
	survive[map[string]map[int16][]bool](300),
	survive[map[[2]string]*parted](300),
	survive[[]pair](100),
	survive[[]wide](2000), // 800 bytes of memory for 2 that are sound, and as much again while they grow
	survive[*heavy](100),
	survive[weighty](300),
	survive[struct {
		A time.Time
		B big.Int
		C []netip.Addr
		D map[any][]struct{}
	}](400),
	survive[[]map[struct{}]struct {
		F [3]int `xme:"-"`
	}](100),
}

func FuzzDecode(f *testing.F) {
	add := func(kind int, src []byte, err error) {
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(kind), src)
	}
	seed := func(kind int, src ...byte) { add(kind, src, nil) }
	v1 := []mixed{{Name: "n", Tags: []string{"a", ""}}, {A: 1}}
	src, err := wire.Append(codecFor[[]mixed](f), nil, &v1, nil)
	add(2, src, err)
	v2 := tree{Name: "t", Kids: []tree{{}}, Left: &tree{}, Meta: map[string]*tree{"a": nil, "b": {}}}
	src, err = wire.Append(codecFor[tree](f), nil, &v2, nil)
	add(3, src, err)
	v3 := map[string]map[int16][]bool{"a": {1: {true, false}, 2: nil}, "b": nil}
	src, err = wire.Append(codecFor[map[string]map[int16][]bool](f), nil, &v3, nil)
	add(5, src, err)
	seed(4, 3, 2, 0, 1)
	seed(4, append(bytes.Repeat([]byte{16}, 60), 0x82, 0, 0x82)...) // every level claims the same bytes
	seed(6, 2, 1, 'a', 0, 1, 1, 'b', 0, 0)
	seed(8, 15, 1, 0, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 2, '-', '7', 2, 4, 127, 0, 0, 1, 2, 1, 0xf6, 5)
	seed(9, 3, 2, 0, 0)
	f.Fuzz(func(t *testing.T, kind byte, src []byte) {
		survivors[int(kind)%len(survivors)](t, src)
	})
}

func FuzzDecodeAny(f *testing.F) {
	c := codecFor[any](f)
	for _, v := range []any{
		nil, true, -1, 1.5, "text",
		[]byte{1},
		int8(1), uint64(1 << 63), complex64(1i), time.Unix(1, 2), time.Second,
		[]any{1, []any{nil}},
		map[string]any{"a": 1, "b": map[string]any{}},
		map[any]any{1: 2, "x": nil},
		[]int{1, 2},
		[]bool{true},
		[]string{"a"},
		map[string]string{"k": "v"},
		map[string]int16{"k": 1, "l": 2},
		[]float32(nil), map[any]any(nil),
	} {
		src, err := wire.Append(c, nil, &v, nil)
		if err != nil {
			f.Fatal(fmt.Errorf("%T: %w", v, err))
		}
		f.Add(src)
	}
	f.Add([]byte("\x07\xd9\xe0\x02\x84\x01\x02\x01"))
	check := survive[any](400)
	f.Fuzz(func(t *testing.T, src []byte) { check(t, src) })
}
