package monitor_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xenonmp/xme/monitor"
)

// feature: N2
func TestSealOpen(t *testing.T) {
	t.Parallel()
	keys := monitor.NewKeys(monitor.NewKey())
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		text := make([]byte, r.IntN(1+n*n))
		for i := range text {
			text[i] = byte(r.IntN(1 + n))
		}
		s := monitor.Sealer{Keys: keys, Context: strings.Repeat("c", n%3), Plain: n%5 == 0}
		sealed, err := s.Seal(text)
		ok(t, err)
		if len(sealed) > len(text)+monitor.Overhead {
			t.Fatalf("%d bytes sealed are %d", len(text), len(sealed))
		}
		o := &monitor.Opener{Keys: keys, Context: s.Context}
		for range 2 { // without a window it remembers nothing
			got, at, err := o.Open(sealed)
			if err != nil || !bytes.Equal(got, text) || time.Since(at).Abs() > time.Hour {
				t.Fatalf("got %d bytes of %v, %v", len(got), at, err)
			}
		}
		h, err := monitor.Inspect(sealed)
		if err != nil || h.Length != int64(len(text)) || h.Sealed != len(sealed) || h.Version != 1 || s.Plain && h.Compressed {
			t.Fatalf("got %+v, %v", h, err)
		}
	}
}

var openErrors = []error{monitor.ErrKey, monitor.ErrMalformed, monitor.ErrTampered, monitor.ErrReplay, monitor.ErrTooLarge}

// refused says whether an error is one of those that Open returns.
func refused(err error) bool {
	for _, one := range openErrors {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// feature: N2
func TestEveryChangedByteIsAnError(t *testing.T) {
	t.Parallel()
	keys := monitor.NewKeys(monitor.NewKey())
	for _, plain := range []bool{false, true} {
		sealed, err := monitor.Sealer{Keys: keys, Plain: plain}.Seal(bytes.Repeat([]byte("message "), 9))
		ok(t, err)
		o := &monitor.Opener{Keys: keys}
		for i := range sealed {
			for bit := range 8 {
				changed := bytes.Clone(sealed)
				changed[i] ^= 1 << bit
				if _, _, err := o.Open(changed); !refused(err) {
					t.Errorf("bit %d of byte %d changed: got %v", bit, i, err)
				}
			}
			if _, _, err := o.Open(sealed[:i]); !refused(err) {
				t.Errorf("cut to %d bytes: got %v", i, err)
			}
		}
		if _, _, err := o.Open(append(bytes.Clone(sealed), 0)); !refused(err) {
			t.Errorf("a byte more: got %v", err)
		}
		if _, _, err := o.Open(sealed); err != nil {
			t.Error(err)
		}
	}
}

// feature: N2
func TestKeys(t *testing.T) {
	t.Parallel()
	old, next, other := monitor.NewKey(), monitor.NewKey(), monitor.NewKey()
	parsed, err := monitor.ParseKey(" " + old.Text() + "\n")
	if err != nil || parsed != old || old == next || len(old.ID()) != 16 {
		t.Fatalf("got %v, %v; want %v", parsed, err, old)
	}
	for _, text := range []string{"", "xme1.", old.Text()[1:], old.Text()[:40], old.Text() + "A", strings.Replace(old.Text(), "xme1", "xme2", 1)} {
		if _, err := monitor.ParseKey(text); !errors.Is(err, monitor.ErrKey) || len(text) > 10 && strings.Contains(err.Error(), text[5:]) || !strings.Contains(err.Error(), "xme message key") {
			t.Errorf("ParseKey: got %v", err)
		}
	}
	sealed, err := monitor.Sealer{Keys: monitor.NewKeys(old), Context: "a"}.Seal([]byte("x"))
	ok(t, err)
	if _, _, err := (&monitor.Opener{Keys: monitor.NewKeys(next, old), Context: "a"}).Open(sealed); err != nil {
		t.Errorf("with the old key behind the new one: %v", err)
	}
	_, _, err = (&monitor.Opener{Keys: monitor.NewKeys(other), Context: "a"}).Open(sealed)
	if !errors.Is(err, monitor.ErrKey) || !strings.Contains(err.Error(), old.ID()) || !strings.Contains(err.Error(), other.ID()) {
		t.Errorf("with another key: %v", err)
	}
	forged := bytes.Clone(sealed) // the other key's id, not its seal
	named, err := monitor.Sealer{Keys: monitor.NewKeys(other)}.Seal(nil)
	ok(t, err)
	copy(forged[6:14], named[6:14])
	if _, _, err := (&monitor.Opener{Keys: monitor.NewKeys(other), Context: "a"}).Open(forged); !errors.Is(err, monitor.ErrTampered) {
		t.Errorf("with the id of another key: %v", err)
	}
	if _, _, err := (&monitor.Opener{Keys: monitor.NewKeys(old), Context: "b"}).Open(sealed); !errors.Is(err, monitor.ErrTampered) {
		t.Errorf("for another context: %v", err)
	}
	if _, err := (monitor.Sealer{Keys: monitor.NewKeys(monitor.Key{})}).Seal(nil); !errors.Is(err, monitor.ErrKey) {
		t.Errorf("with a zero key: %v", err)
	}
}

// feature: N2
func TestKeysAreNotShown(t *testing.T) {
	t.Parallel()
	k := monitor.NewKey()
	keys := monitor.NewKeys(k)
	holder := struct {
		Key  monitor.Key
		key  monitor.Key
		Keys *monitor.Keys
		M    *monitor.Monitor
		S    monitor.Sealer
	}{k, k, keys, monitor.New(monitor.Options{Keys: keys}), monitor.Sealer{Keys: keys}}
	secret := []byte(k.Text())
	raw, err := base64.RawURLEncoding.DecodeString(string(secret[5:]))
	ok(t, err)
	list := strings.Trim(fmt.Sprint([]int{int(raw[0]), int(raw[1]), int(raw[2]), int(raw[3])}), "[]")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
		for _, v := range []any{k, &k, keys, *keys, holder, &holder, []monitor.Key{k}, map[string]monitor.Key{"k": k}} {
			shown := fmt.Sprintf(verb, v)
			if strings.Contains(shown, string(raw)) || strings.Contains(strings.ToLower(shown), fmt.Sprintf("%x", raw)) || strings.Contains(shown, list) {
				t.Errorf("%s of %T shows the key", verb, v)
			}
			for i := len("xme1."); i+8 <= len(secret); i += 8 {
				if strings.Contains(shown, string(secret[i:i+8])) || strings.Contains(shown, fmt.Sprintf("%x", secret[i:i+8])) {
					t.Errorf("%s of %T shows the key", verb, v)
				}
			}
		}
	}
	text, err := json.Marshal(holder)
	if err == nil && bytes.Contains(text, secret[5:20]) {
		t.Errorf("JSON shows the key: %s", text)
	}
}

// feature: N2
func TestLimits(t *testing.T) {
	t.Parallel()
	keys := monitor.NewKeys(monitor.NewKey())
	zeros := make([]byte, 1000)
	if _, err := (monitor.Sealer{Keys: keys, Limit: 999}).Seal(zeros); !errors.Is(err, monitor.ErrTooLarge) {
		t.Errorf("seal: %v", err)
	}
	for _, plain := range []bool{true, false} {
		sealed, err := monitor.Sealer{Keys: keys, Limit: 1000, Plain: plain}.Seal(zeros)
		ok(t, err)
		if _, _, err := (&monitor.Opener{Keys: keys, Limit: 999}).Open(sealed); !errors.Is(err, monitor.ErrTooLarge) {
			t.Errorf("open: %v", err)
		}
		if _, _, err := (&monitor.Opener{Keys: keys, Limit: 1000}).Open(sealed); err != nil {
			t.Error(err)
		}
		binary.BigEndian.PutUint64(sealed[14:], 1<<61)
		if _, _, err := (&monitor.Opener{Keys: keys}).Open(sealed); !errors.Is(err, monitor.ErrTooLarge) {
			t.Errorf("a claim of 2^61 bytes: %v", err)
		}
	}
	for _, o := range []*monitor.Opener{{Keys: keys, Limit: -1}, {Keys: keys, Window: -1}, {Keys: keys, Remember: -1}} {
		if _, _, err := o.Open(nil); err == nil || refused(err) {
			t.Errorf("bad options: got %v", err)
		}
	}
}

// feature: N2
func TestReplays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := monitor.NewKeys(monitor.NewKey())
		s := monitor.Sealer{Keys: keys}
		seal := func() []byte {
			sealed, err := s.Seal([]byte("x"))
			ok(t, err)
			return sealed
		}
		wait := func(d time.Duration) { <-time.After(d) } // the bubble's clock
		o := &monitor.Opener{Keys: keys, Window: time.Hour, Remember: 3}
		is := func(what string, sealed []byte, want error) {
			t.Helper()
			if _, _, err := o.Open(sealed); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
		var all [][]byte
		for range 6 {
			all = append(all, seal())
			wait(time.Second)
		}
		is("first", all[1], nil)
		is("first again", all[1], monitor.ErrReplay)
		is("third", all[3], nil)
		is("out of order", all[2], nil)
		is("out of order again", all[2], monitor.ErrReplay)
		is("a fourth, for which the oldest goes", all[4], nil)
		is("what was let go", all[1], monitor.ErrReplay)
		is("older than what was let go", all[0], monitor.ErrReplay)
		is("still known", all[2], monitor.ErrReplay)
		wait(time.Hour)
		is("outside the window", all[5], monitor.ErrReplay)
		is("new", seal(), nil)
		late := seal()
		wait(time.Hour)
		is("at the window's end", late, nil)
		ahead := seal()
		binary.BigEndian.PutUint64(ahead[22:], uint64(time.Now().Add(time.Hour).UnixMilli()))
		is("a changed time", ahead, monitor.ErrTampered)
	})
}

// A message sealed by a clock that is ahead is refused until the time has come.
func TestSealedAhead(t *testing.T) {
	t.Parallel()
	keys := monitor.NewKeys(monitor.NewKey())
	var sealed []byte
	var err error
	sealed, err = monitor.Sealer{Keys: keys}.Seal(nil) // by the machine's clock, which is ahead of a bubble's
	ok(t, err)
	synctest.Test(t, func(t *testing.T) {
		if _, _, err := (&monitor.Opener{Keys: keys, Window: time.Hour}).Open(sealed); !errors.Is(err, monitor.ErrReplay) {
			t.Errorf("got %v", err)
		}
		if _, at, err := (&monitor.Opener{Keys: keys}).Open(sealed); err != nil || !at.After(time.Now()) {
			t.Errorf("without a window: sealed %v, %v", at, err)
		}
	})
}

// feature: N2
func TestConcurrentReplays(t *testing.T) {
	t.Parallel()
	keys := monitor.NewKeys(monitor.NewKey())
	o := &monitor.Opener{Keys: keys, Window: time.Hour}
	for range 50 {
		sealed, err := monitor.Sealer{Keys: keys}.Seal([]byte("x"))
		ok(t, err)
		var opened atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				switch _, _, err := o.Open(sealed); {
				case err == nil:
					opened.Add(1)
				case !errors.Is(err, monitor.ErrReplay):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := opened.Load(); n != 1 {
			t.Fatalf("opened %d times", n)
		}
	}
}
