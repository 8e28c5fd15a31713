package wire_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/xenonmp/xme/internal/long"
)

type (
	// wide takes much memory and few bytes, and none of what a hostile peer sends for it is sound but "x".
	wide struct{ N [100]int }
	// broad is wide as far as a map keeps its entries in place.
	broad struct{ N [15]int }
	// heavy and weighty reach further values before, and behind, the bulk of their own memory.
	heavy struct {
		Next *heavy
		Pad  [4096]int8
		Name string
	}
	weighty struct {
		Kids [1]map[int8]weighty
		Pads [256]string
	}
	wordy map[*wordy][4096]int8
	rows  struct {
		A [1024]struct {
			Next *rows
			Pad  [8]int8
		}
	}
	vast  struct{ Pad [1 << 25]int8 }
	light struct {
		Next *light
		Skip [4096]byte `xme:"-"`
		Pad  [8]string
	}
)

func (b broad) MarshalBinary() ([]byte, error)    { return nil, nil }
func (b *broad) UnmarshalBinary(src []byte) error { return errors.New("not a broad") }

func (w wide) MarshalBinary() ([]byte, error) { return []byte("x"), nil }

func (w *wide) UnmarshalBinary(b []byte) error {
	if string(b) != "x" {
		return errors.New("not a wide")
	}
	w.N[0], w.N[99] = 1, 2
	return nil
}

// A count, or a pointer that is said to be there, costs little memory as long as what follows does not bear it out.
//
// feature: S9
func TestCountAloneTakesLittleMemory(t *testing.T) {
	const n = 200_000
	nothing := strings.Repeat("\x00", n)
	some := strings.Repeat("\x01x", 10) // ten sound ones first
	for name, c := range map[string]struct {
		src    string
		decode func(testing.TB, string) error
	}{
		"slice of marshalers":     {uvarint(n+1) + nothing, decodes[[]wide]},
		"more than a few":         {uvarint(n+1) + some + nothing, decodes[[]wide]},
		"slice in a slice":        {"\x02" + uvarint(n-9) + nothing, decodes[[][]wide]},
		"slice of arrays":         {uvarint(n/2+1) + nothing, decodes[[][2]wide]},
		"slice of structs":        {uvarint(n/2+1) + nothing, decodes[[]struct{ A, B wide }]},
		"map of marshalers":       {uvarint(n/2+1) + nothing, decodes[map[bool]broad]},
		"keys that are":           {uvarint(n+1) + nothing, decodes[map[broad]struct{}]},
		"pointers before the pad": {strings.Repeat("\x01", n), decodes[*heavy]},
		"pointer, nothing left":   {"\x01", decodes[*vast]},
		"keys before the pad":     {strings.Repeat("\x02\x01", n/2), decodes[wordy]},
		"arrays before the pad":   {strings.Repeat("\x01", n), decodes[*rows]},
		"maps before the pad":     {strings.Repeat("\x02\x00", n/2), decodes[weighty]},
	} {
		before := allocated()
		err := c.decode(t, c.src)
		took := allocated() - before
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		// The compiled codec and a few values are the constant, and 64 bytes for each that is there; most need far less.
		if most := uint64(1<<19 + 100*len(c.src)); took > most {
			t.Errorf("%s: %d bytes allocated for %d, want %d at most", name, took, len(c.src), most)
		}
	}
}

// Values whose memory grows while they are decoded arrive whole, whatever their number.
//
// feature: S9
func TestManyWideValues(t *testing.T) {
	t.Parallel()
	lengths := []int{0, 1, 2, 3, 12, 13, 26}
	if long.Wanted() {
		lengths = append(lengths, 25, 100)
	}
	for _, n := range lengths {
		in := make([]wide, n)
		for i := range in {
			in[i].N[0], in[i].N[99] = 1, 2
		}
		kept(t, in, false)
		type outer struct {
			Name string
			In   []map[int16][]wide
			Last [2][]light
		}
		chain := []light{{Next: &light{Pad: [8]string{7: "end"}}}, {}}
		kept(t, outer{"n", []map[int16][]wide{nil, {1: in, 2: nil}, {}}, [2][]light{chain, nil}}, false)
	}
}
