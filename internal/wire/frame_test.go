package wire_test

import (
	"strings"
	"testing"

	"github.com/xenonmp/xme/internal/wire"
)

func TestHeaderRoundTrip(t *testing.T) {
	t.Parallel()
	want := wire.Header{Len: 77, Kind: wire.KindCall, Files: 4, Func: 9, Call: 1 << 40, Time: 3}
	var b [wire.HeaderSize]byte
	want.Put(&b)
	got, err := wire.ParseHeader(&b, 100)
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestHeaderRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		h    wire.Header
		want string
	}{
		"no kind":      {wire.Header{}, "unknown kind 0"},
		"unknown kind": {wire.Header{Kind: 200}, "unknown kind 200"},
		"too long":     {wire.Header{Kind: wire.KindCall, Len: 101}, "over the limit of 100"},
		"far too long": {wire.Header{Kind: wire.KindCall, Len: 1<<32 - 1}, "over the limit"},
		"files":        {wire.Header{Kind: wire.KindCall, Len: 31, Files: 2}, "cannot name 2 files"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b [wire.HeaderSize]byte
			tc.h.Put(&b)
			if _, err := wire.ParseHeader(&b, 100); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}

// Whatever the bytes, a header is refused or means what it says.
func FuzzHeader(f *testing.F) {
	var b [wire.HeaderSize]byte
	wire.Header{Len: 5, Kind: wire.KindResult, Call: 2}.Put(&b)
	f.Add(b[:], 100)
	f.Add(make([]byte, wire.HeaderSize), 0)
	f.Fuzz(func(t *testing.T, p []byte, limit int) {
		var b [wire.HeaderSize]byte
		copy(b[:], p)
		h, err := wire.ParseHeader(&b, limit)
		if err != nil {
			return
		}
		if int(h.Len) > limit || h.Len > wire.MaxBody || int(h.Files)*wire.IDSize > int(h.Len) || strings.HasPrefix(h.Kind.String(), "kind ") {
			t.Fatalf("accepted %+v with limit %d", h, limit)
		}
		var again [wire.HeaderSize]byte
		h.Put(&again)
		if again != b {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
