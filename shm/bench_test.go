package shm_test

import (
	"context"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/wire"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

var (
	nothing = xme.Register("nothing", func(_ context.Context, in int) (int, error) { return in, nil })
	touch   = xme.Register("touch", func(_ context.Context, in *shm.Array[float64]) (int, error) { return in.Len(), nil })
	length  = xme.Register("length", func(_ context.Context, in shm.View[float64]) (int, error) { return in.Len(), nil })
)

// BenchmarkHandOver compares a call that hands an array over with one that hands over a
// number.
func BenchmarkHandOver(b *testing.B) {
	pool := xmetest.Open(b, xme.Options{Workers: 1})
	b.Run("number", func(b *testing.B) {
		for b.Loop() {
			if _, err := nothing.Call(b.Context(), pool, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	a, err := shm.NewArray[float64](1 << 20)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	b.Run("array", func(b *testing.B) {
		for b.Loop() {
			if _, err := touch.Call(b.Context(), pool, a); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkHandle encodes an array, and takes it on and gives it back as a task does, without a call.
func BenchmarkHandle(b *testing.B) {
	codec, err := wire.CodecFor[*shm.Array[float64]]()
	if err != nil {
		b.Fatal(err)
	}
	a, err := shm.NewArray[float64](10_000_000)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	var mem [64]byte
	var body []byte
	encode := func() {
		p := wire.NewParcel()
		if body, err = wire.Append(codec, mem[:0], &a, p); err != nil {
			b.Fatal(err)
		}
		p.Free()
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			encode()
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		encode()
		for b.Loop() {
			p := wire.NewParcel()
			p.Task = true
			var got *shm.Array[float64]
			if err := wire.Decode(codec, body, &got, p); err != nil {
				b.Fatal(err)
			}
			p.EndFirst()
			p.LeaveHeld()
			p.Free()
		}
	})
}

// BenchmarkView lends 80 MB.
func BenchmarkView(b *testing.B) {
	pool := xmetest.Open(b, xme.Options{Workers: 1})
	s := make([]float64, 10_000_000)
	v, err := shm.ViewOf(s)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("copy", func(b *testing.B) {
		to := make([]float64, len(s))
		b.SetBytes(80_000_000)
		for b.Loop() {
			copy(to, s)
		}
	})
	b.Run("view", func(b *testing.B) {
		b.SetBytes(80_000_000)
		for b.Loop() {
			if _, err := length.Call(b.Context(), pool, v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
