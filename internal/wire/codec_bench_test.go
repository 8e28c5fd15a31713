package wire_test

import (
	"fmt"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/xenonmp/xme/internal/wire"
)

type benchMixed struct {
	A, B int
	Name string
	X    []float64
}

type benchItem struct {
	Name string
	N    int
}

// BenchmarkCodec times encoding and decoding, each beside the same by plain CBOR, which is the floor to stay under.
func BenchmarkCodec(b *testing.B) {
	mixed := benchMixed{A: 1, B: 2, Name: "a name", X: make([]float64, 1000)}
	texts, counts, items := make([]string, 100), make(map[string]int), make([]benchItem, 100)
	for i := range texts {
		texts[i] = fmt.Sprintf("text %d", i)
		counts[texts[i]] = i
		items[i] = benchItem{texts[i], i}
	}
	for i := range mixed.X {
		mixed.X[i] = float64(i) / 3
	}
	benchmarkType(b, "int", 42)
	benchmarkType(b, "mixed", mixed)
	benchmarkType(b, "strings", texts)
	benchmarkType(b, "map", counts)
	benchmarkType(b, "structs", items)
	benchmarkType(b, "any", map[string]any{"name": "x", "n": 7, "list": []any{1.5, true, "y"}, "xs": []float64{1, 2, 3}})
}

func benchmarkType[T any](b *testing.B, name string, v T) {
	c, err := wire.CodecFor[T]()
	if err != nil {
		b.Fatal(err)
	}
	ours, err := wire.Append(c, nil, &v, nil)
	if err != nil {
		b.Fatal(err)
	}
	theirs, err := cbor.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run(name+"/encode/wire", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(ours)))
		dst := make([]byte, 0, 1<<16)
		for b.Loop() {
			in := v
			if dst, err = wire.Append(c, dst[:0], &in, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run(name+"/encode/cbor", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(theirs)))
		for b.Loop() {
			if _, err := cbor.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run(name+"/decode/wire", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(ours)))
		for b.Loop() {
			var out T
			if err := wire.Decode(c, ours, &out, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run(name+"/decode/cbor", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(theirs)))
		for b.Loop() {
			var out T
			if err := cbor.Unmarshal(theirs, &out); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run(name+"/size", func(b *testing.B) {
		for b.Loop() {
			wire.Size(c, &v)
		}
	})
	b.Run(name+"/compile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := wire.CodecFor[T](); err != nil {
				b.Fatal(err)
			}
		}
	})
}
