package mpi_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"

	"github.com/xenonmp/xme/mpi"
)

// A sort of values: how they are made, and what they are folded by. The length is that of slices and the like.
type sort[T any] struct {
	make func(rnd *rand.Rand, length int) T
	op   mpi.Op[T] // associative; most do not commute
}

type (
	matrix [2][2]uint64
	record struct {
		N    int32
		X    float64
		Name string
		Tags []string
	}
	fixed struct {
		N int32
		X float64
	}
	// stamp crosses by its methods.
	stamp struct{ text string }
)

func (s stamp) MarshalBinary() ([]byte, error) { return []byte("stamp " + s.text), nil }

func (s *stamp) UnmarshalBinary(b []byte) error {
	if len(b) < 6 || string(b[:6]) != "stamp " {
		return errors.New("no stamp")
	}
	s.text = string(b[6:])
	return nil
}

// uneven is a float of any magnitude: sums of them depend on the order.
func uneven(rnd *rand.Rand) float64 {
	return (rnd.Float64() - 0.5) * math.Pow(2, float64(rnd.IntN(80)-40))
}

func word(rnd *rand.Rand, length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = 'a' + byte(rnd.Uint32()%26)
	}
	return string(b)
}

func (a matrix) times(b matrix) (p matrix) {
	for i := range 2 {
		for k := range 2 {
			p[i][k] = a[i][0]*b[0][k] + a[i][1]*b[1][k]
		}
	}
	return p
}

// list makes slices, now and then a nil one.
func list[E any](element func(rnd *rand.Rand) E) func(rnd *rand.Rand, length int) []E {
	return func(rnd *rand.Rand, length int) []E {
		if length == 0 && rnd.IntN(2) == 0 {
			return nil
		}
		s := make([]E, length)
		for i := range s {
			s[i] = element(rnd)
		}
		return s
	}
}

// joined appends, without touching what it is given.
func joined[E any](a, b []E) []E { return slices.Concat(a, b) }

var (
	ints    = sort[int]{func(rnd *rand.Rand, _ int) int { return int(rnd.Uint64()) }, mpi.Sum[int]}
	floats  = sort[float64]{func(rnd *rand.Rand, _ int) float64 { return uneven(rnd) }, mpi.Sum[float64]}
	octets  = sort[byte]{func(rnd *rand.Rand, _ int) byte { return byte(rnd.Uint32()) }, mpi.Max[byte]}
	texts   = sort[string]{word, func(a, b string) string { return a + b }}
	squares = sort[matrix]{func(rnd *rand.Rand, _ int) matrix {
		return matrix{{rnd.Uint64(), rnd.Uint64()}, {rnd.Uint64(), rnd.Uint64()}}
	}, matrix.times}
	pairs = sort[fixed]{
		func(rnd *rand.Rand, _ int) fixed { return fixed{int32(rnd.Uint32()), uneven(rnd)} },
		func(a, b fixed) fixed { return fixed{b.N, a.X + b.X} },
	}
	records = sort[record]{
		func(rnd *rand.Rand, length int) record {
			return record{N: int32(rnd.Uint32()), X: uneven(rnd), Name: word(rnd, length%50), Tags: list(func(rnd *rand.Rand) string { return word(rnd, 3) })(rnd, length%7)}
		},
		func(a, b record) record {
			return record{a.N*31 + b.N, a.X + b.X, a.Name + b.Name, joined(a.Tags, b.Tags)}
		},
	}
	stamps = sort[stamp]{
		func(rnd *rand.Rand, length int) stamp { return stamp{word(rnd, length)} },
		func(a, b stamp) stamp { return stamp{a.text + b.text} },
	}
	dictionaries = sort[map[string]int]{
		func(rnd *rand.Rand, length int) map[string]int {
			m := map[string]int{}
			for range length % 1000 {
				m[word(rnd, 2)] = rnd.Int()
			}
			return m
		},
		func(a, b map[string]int) map[string]int {
			m := maps.Clone(a)
			maps.Copy(m, b)
			return m
		},
	}
	blobs  = sort[[]byte]{list(func(rnd *rand.Rand) byte { return byte(rnd.Uint32()) }), joined[byte]}
	rows   = sort[[]float64]{list(uneven), joined[float64]}
	ragged = sort[[][]float64]{
		func(rnd *rand.Rand, length int) [][]float64 {
			return list(func(rnd *rand.Rand) []float64 { return rows.make(rnd, rnd.IntN(9)) })(rnd, length%500)
		},
		joined[[]float64],
	}
)

// collective is one collective of a random sort.
func (w *walk) collective(ctx context.Context) error {
	switch w.rnd.IntN(16) {
	case 0:
		return one(ctx, w, ints)
	case 1:
		return one(ctx, w, floats)
	case 2:
		return one(ctx, w, texts)
	case 3:
		return one(ctx, w, squares)
	case 4:
		return one(ctx, w, pairs)
	case 5:
		return one(ctx, w, records)
	case 6:
		return one(ctx, w, stamps)
	case 7:
		return one(ctx, w, dictionaries)
	case 8:
		return one(ctx, w, blobs)
	case 9:
		return one(ctx, w, rows)
	case 10:
		return one(ctx, w, ragged)
	case 11:
		return inPlace(ctx, w, ints)
	case 12:
		return inPlace(ctx, w, octets)
	case 13:
		return inPlace(ctx, w, squares)
	case 14:
		return inPlace(ctx, w, pairs)
	}
	return inPlace(ctx, w, floats)
}

// wrong says how a result differs, in short.
func wrong(what string, v any, got, want any) error {
	short := func(v any) string {
		if s := fmt.Sprintf("%v", v); len(s) > 300 {
			return s[:300] + "…"
		} else {
			return s
		}
	}
	return fmt.Errorf("%s of %T gave %s, want %s", what, v, short(got), short(want))
}

// same tells whether values are equal, floats bit by bit; an empty slice is not nil.
func same(a, b any) bool {
	switch a := a.(type) {
	case []float64:
		return slices.EqualFunc(a, b.([]float64), func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
	case float64:
		return math.Float64bits(a) == math.Float64bits(b.(float64))
	case []byte:
		return (a == nil) == (b.([]byte) == nil) && slices.Equal(a, b.([]byte))
	}
	return reflect.DeepEqual(a, b)
}
