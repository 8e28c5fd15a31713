package monitor_test

import (
	"bytes"
	"compress/zlib"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/monitor"
)

// forge seals as docs/messages.md says, whatever it is told to claim.
func forge(t *testing.T, key monitor.Key, flags byte, claim uint64, at time.Time, body []byte) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(key.Text(), "xme1."))
	ok(t, err)
	id, err := hkdf.Key(sha256.New, raw, nil, "xme key id 1", 8)
	ok(t, err)
	salt := bytes.Repeat([]byte{7}, 32)
	okm, err := hkdf.Key(sha256.New, raw, salt, "xme message 1", 44)
	ok(t, err)
	b := append([]byte("XMEM\x01"), flags)
	b = append(b, id...)
	b = binary.BigEndian.AppendUint64(b, claim)
	b = binary.BigEndian.AppendUint64(b, uint64(at.UnixMilli()))
	b = append(b, salt...)
	block, err := aes.NewCipher(okm[:32])
	ok(t, err)
	gcm, err := cipher.NewGCM(block)
	ok(t, err)
	return gcm.Seal(b, okm[32:], body, b)
}

func deflate(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, err := w.Write(b)
	ok(t, err)
	ok(t, w.Close())
	return out.Bytes()
}

// Who has the key may lie too.
//
// feature: N2
func TestLies(t *testing.T) {
	key := monitor.NewKey()
	keys, now := monitor.NewKeys(key), time.Now()
	bomb := deflate(t, make([]byte, 64<<20)) // 64 KiB that expand to 64 MiB
	text := deflate(t, []byte("text"))
	for name, tc := range map[string]struct {
		sealed []byte
		want   error
	}{
		"true":             {forge(t, key, 1, 4, now, text), nil},
		"a bomb":           {forge(t, key, 1, 4, now, bomb), monitor.ErrMalformed},
		"a claim too high": {forge(t, key, 1, 1<<20, now, text), monitor.ErrMalformed},
		"too low":          {forge(t, key, 1, 3, now, text), monitor.ErrMalformed},
		"above the limit":  {forge(t, key, 1, 64<<20, now, bomb), monitor.ErrTooLarge},
		"bytes behind":     {forge(t, key, 1, 4, now, append(bytes.Clone(text), 0)), monitor.ErrMalformed},
		"cut":              {forge(t, key, 1, 4, now, text[:len(text)-1]), monitor.ErrMalformed},
		"no zlib":          {forge(t, key, 1, 4, now, []byte("text")), monitor.ErrMalformed},
		"plain":            {forge(t, key, 0, 5, now, []byte("text")), monitor.ErrMalformed},
		"year 10000":       {forge(t, key, 0, 4, time.UnixMilli(253402300800000), []byte("text")), monitor.ErrMalformed},
		"ahead":            {forge(t, key, 0, 4, now.Add(time.Hour), []byte("text")), monitor.ErrReplay},
		"behind":           {forge(t, key, 0, 4, now.Add(-2*time.Hour), []byte("text")), monitor.ErrReplay},
		"1970":             {forge(t, key, 0, 4, time.UnixMilli(0), []byte("text")), monitor.ErrReplay},
	} {
		t.Run(name, func(t *testing.T) {
			o := &monitor.Opener{Keys: keys, Limit: 2 << 20, Window: time.Hour}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := o.Open(tc.sealed)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
				t.Errorf("%d bytes of memory were taken", n)
			}
		})
	}
}

// feature: N2
func TestManyKeysAreRefused(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("a million keys; nothing runs at the same time")
	}
	key := monitor.NewKey()
	text := []byte{'{'}
	for i := range 1<<20 + 1 {
		text = append(strconv.AppendInt(append(text, '"'), int64(i), 10), `":1,`...)
	}
	text[len(text)-1] = '}'
	sealed, err := monitor.Sealer{Keys: monitor.NewKeys(key)}.Seal(text)
	ok(t, err)
	err = monitor.New(monitor.Options{Keys: monitor.NewKeys(key)}).Unmarshal(t.Context(), sealed)
	if !errors.Is(err, monitor.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

// Without a pool there is no key to inherit: the process that looks has opened none.
//
// feature: N2
func TestNoKey(t *testing.T) {
	const inside = "XME_MONITOR_TEST_NO_KEY"
	if os.Getenv(inside) == "" {
		cmd := exec.CommandContext(soon(t), os.Args[0], "-test.run=^TestNoKey$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASS: TestNoKey")) {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	ctx, m := t.Context(), monitor.New(monitor.Options{})
	ok(t, monitor.Set(ctx, m, "k", 1))
	_, err := m.Marshal(ctx)
	sealed, sealErr := monitor.Sealer{Keys: monitor.NewKeys(monitor.NewKey())}.Seal([]byte("{}"))
	ok(t, sealErr)
	for _, err := range []error{err, m.Unmarshal(ctx, sealed)} {
		for _, says := range []string{"monitor.NewKey", "xme message key", "open a pool"} {
			if !errors.Is(err, monitor.ErrKey) || !strings.Contains(err.Error(), says) {
				t.Errorf("%v does not say %q", err, says)
			}
		}
	}
}
