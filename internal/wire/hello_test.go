package wire_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/xenonmp/xme/internal/wire"
)

var id = wire.Identity{Version: 1, Build: "b1", Funcs: []string{"main.a func(int) int", "main.b func() error"}}

func helloOf(id wire.Identity) wire.Hello {
	return wire.Hello{Version: id.Version, Build: id.Build, Fingerprint: id.Fingerprint(), Rank: 3, MaxMessage: 1 << 30, Umask: -1, Key: wire.Key{1, 31: 2}}
}

func TestHelloRoundTrip(t *testing.T) {
	t.Parallel()
	want := helloOf(id)
	got, err := wire.ParseHello(want.Append(nil))
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	r := wire.Refusal(id)
	back, err := wire.ParseRefusal(r.Append(nil))
	if err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("got %+v, %v; want %+v", back, err, r)
	}
}

func TestHandshakeMalformed(t *testing.T) {
	t.Parallel()
	whole := helloOf(id).Append(nil)
	for n := range whole {
		if _, err := wire.ParseHello(whole[:n]); err == nil {
			t.Errorf("a hello cut to %d of %d bytes was accepted", n, len(whole))
		}
	}
	if _, err := wire.ParseHello(append(whole, 0)); err == nil {
		t.Error("a hello with a byte behind it was accepted")
	}
	if _, err := wire.ParseRefusal([]byte{1, 0, 0, 0, 0, 0, 255, 255, 255, 255}); err == nil {
		t.Error("a refusal of 4 billion functions was accepted")
	}
}

// The error of a skew names both sides and the remedy.
func TestSkew(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		worker wire.Identity
		want   []string
	}{
		"version": {wire.Identity{Version: 2, Build: "b1", Funcs: id.Funcs}, []string{"driver speaks protocol 1, worker protocol 2", "restart"}},
		"build":   {wire.Identity{Version: 1, Build: "b2", Funcs: id.Funcs}, []string{"driver is build b1, worker is build b2", "restart"}},
		"functions": {
			wire.Identity{Version: 1, Build: "b1", Funcs: []string{"main.a func(int) int", "main.c func() error"}},
			[]string{"only in the driver: main.b", "only in the worker: main.c", "register every function at package level"},
		},
		"types": {
			wire.Identity{Version: 1, Build: "b1", Funcs: []string{"main.a func(int64) int", "main.b func() error"}},
			[]string{"only in the driver: main.a func(int) int", "only in the worker: main.a func(int64) int"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusal, ok := tc.worker.Compare(helloOf(id))
			if ok {
				t.Fatal("a worker that is another program accepted")
			}
			msg := (&wire.SkewError{Driver: id, Worker: refusal}).Error()
			for _, w := range tc.want {
				if !strings.Contains(msg, w) {
					t.Errorf("%q; want %q in it", msg, w)
				}
			}
		})
	}
	if _, ok := id.Compare(helloOf(id)); !ok {
		t.Error("a worker refuses its own program")
	}
	// Functions are in the order of their names, which is another one than that of their names and types.
	both := []string{"main.run func() error", "main.run fast func() error"}
	skew := &wire.SkewError{Driver: wire.Identity{Version: 1, Build: "b1", Funcs: append(both, "main.x func()")}, Worker: wire.Refusal{Version: 1, Build: "b1", Funcs: both}}
	if msg := skew.Error(); !strings.Contains(msg, "only in the driver: main.x func()") || strings.Contains(msg, "only in the worker") {
		t.Errorf("%q", msg)
	}
}

func TestBuildID(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ids := map[string]string{}
	for name, content := range map[string][]byte{
		"a": bytes.Repeat([]byte("a"), 100_000), "head": append([]byte("b"), bytes.Repeat([]byte("a"), 99_999)...),
		"size": bytes.Repeat([]byte("a"), 100_001), "short": []byte("a"), "empty": {},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		build, err := wire.BuildID(file)
		if err != nil {
			if name == "empty" {
				continue
			}
			t.Fatal(err)
		}
		if old := ids[build]; old != "" {
			t.Errorf("files %s and %s have the same id", old, name)
		}
		ids[build] = name
	}
	if _, err := wire.BuildID(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that does not exist has an id")
	}
}

// Hostile handshakes are refused or decode to what encodes to the same bytes.
func FuzzHandshake(f *testing.F) {
	f.Add(helloOf(id).Append(nil))
	f.Add(wire.Refusal(id).Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := wire.ParseHello(b); err == nil && !bytes.Equal(h.Append(nil), b) {
			t.Errorf("hello %x became %x", b, h.Append(nil))
		}
		if r, err := wire.ParseRefusal(b); err == nil && !bytes.Equal(r.Append(nil), b) {
			t.Errorf("refusal %x became %x", b, r.Append(nil))
		}
	})
}

// The key that processes have in common is not shown with the rest of a hello.
//
// feature: N2
func TestHelloHidesItsKey(t *testing.T) {
	t.Parallel()
	h := helloOf(id)
	h.Key = wire.Key(bytes.Repeat([]byte{0xab}, len(h.Key)))
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%X", "%s", "%q", "%d"} {
		for _, v := range []any{h, &h, h.Key, &h.Key} {
			if text := strings.ToLower(fmt.Sprintf(verb, v)); strings.Contains(text, "abab") || strings.Contains(text, "0xab") || strings.Contains(text, "171") || strings.Contains(text, "\xab\xab") {
				t.Errorf("%s shows the key: %s", verb, text)
			}
		}
	}
}
