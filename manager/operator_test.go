package manager_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/xmetest"
)

// hidden and shown hold an operator in every way in which fmt comes by one.
type (
	hidden struct {
		op      manager.Operator
		pointer *manager.Operator
		list    []manager.Operator
		byOp    map[manager.Operator]int
		any     any
		inner   struct{ op manager.Operator }
	}
	shown struct {
		Op      manager.Operator
		Pointer *manager.Operator
		List    []manager.Operator
		Any     any
		Inner   struct{ Op manager.Operator }
	}
)

// Nothing that can be read of an operator, or of what holds one, shows its secret.
//
// feature: X7
func TestOperatorHidesItsSecret(t *testing.T) {
	for _, size := range []int{16, 64} {
		m := openWith(t, manager.Options{Secret: size})
		op, err := m.NewOperator(t.Context())
		must(t, err)
		raw, err := op.MarshalBinary()
		must(t, err)
		secret := raw[4:]
		if len(secret) != size {
			t.Fatalf("a secret of %d bytes", len(secret))
		}
		l := m.As(op).Lock()
		h := hidden{op: op, pointer: &op, list: []manager.Operator{op}, byOp: map[manager.Operator]int{op: 1}, any: op}
		h.inner.op = op
		s := shown{Op: op, Pointer: &op, List: []manager.Operator{op}, Any: op}
		s.Inner.Op = op
		var texts []string
		for _, v := range []any{op, &op, h, &h, s, &s, []any{h, s}, m.As(op), *m.As(op), l, []*manager.Lock{l}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%X", "% x", "%s", "%q", "%d", "%b", "%o", "%c", "%U", "%p", "%T", "%08v"} {
				texts = append(texts, fmt.Sprintf(verb, v))
			}
			texts = append(texts, fmt.Sprint(v), fmt.Sprintln(v))
			if text, err := json.Marshal(v); err == nil {
				texts = append(texts, string(text))
			}
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("x", "op", v, slog.Group("g", "op", v))
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "op", v)
			texts = append(texts, log.String())
		}
		_, err = m.As(forge(t, op, "another secret16")).NewLock(t.Context(), manager.LockOptions{})
		texts = append(texts, fmt.Sprintf("%v %+v %#v", err, err, err))
		for _, text := range texts {
			for what, s := range secretTexts(secret) {
				if strings.Contains(text, s) {
					t.Fatalf("%s of the secret in %q", what, text)
				}
			}
		}
	}
}

// secretTexts are what the first bytes of a secret look like in a text.
func secretTexts(secret []byte) map[string]string {
	some := secret[:4]
	list := strings.Trim(fmt.Sprintf("%d", some), "[]")
	return map[string]string{
		"the bytes": string(some), "hex": hex.EncodeToString(some), "HEX": strings.ToUpper(hex.EncodeToString(some)),
		"a list": list, "a Go list": fmt.Sprintf("%#x, %#x, %#x", some[0], some[1], some[2]), "JSON": strings.ReplaceAll(list, " ", ","),
		"spaced hex": fmt.Sprintf("% x", some), "binary": strings.Trim(fmt.Sprintf("%b", some), "[]"),
	}
}

// The check of the test above finds a secret that is there.
func TestOperatorSecretWouldBeFound(t *testing.T) {
	leak := struct{ secret [16]byte }{[16]byte([]byte("0123456789abcdef"))}
	for verb, what := range map[string]string{"%v": "a list", "%+v": "a list", "%#v": "a Go list", "%x": "hex", "%s": "the bytes"} {
		text := fmt.Sprintf(verb, leak)
		if verb == "%x" || verb == "%s" {
			text = fmt.Sprintf(verb, leak.secret)
		}
		if !strings.Contains(text, secretTexts(leak.secret[:])[what]) {
			t.Errorf("%s: no %s in %s", verb, what, text)
		}
	}
}

// feature: X7
func TestOperatorText(t *testing.T) {
	m := openWith(t, manager.Options{})
	op, err := m.NewOperator(t.Context())
	must(t, err)
	if got := fmt.Sprint(m.Operator(), op, manager.Operator{}); got != "ADMIN operator 2 nobody" {
		t.Error(got)
	}
	text, err := json.Marshal(shown{Op: op})
	if err != nil || !strings.Contains(string(text), `"Op":2`) {
		t.Errorf("%s, %v", text, err)
	}
	var back shown
	if err := json.Unmarshal(text, &back); err == nil {
		t.Error("an operator was read back from JSON")
	}
	if op.IsAdmin() || !m.Operator().IsAdmin() || op.Number() != 2 {
		t.Errorf("%v, %v", op, m.Operator())
	}
	var short manager.Operator
	if err := short.UnmarshalBinary([]byte{1, 0}); err == nil {
		t.Error("half an operator")
	}
	if err := short.UnmarshalBinary(make([]byte, 4+65)); err == nil {
		t.Error("an operator with too long a secret")
	}
}

// An operator that has crossed is the same one.
//
// feature: X7
func TestOperatorCrosses(t *testing.T) {
	m := openWith(t, manager.Options{})
	for _, e := range executors {
		t.Run(e.name, func(t *testing.T) {
			op, err := m.NewOperator(t.Context())
			must(t, err)
			got, err := echoOperator.Call(soon(t), e.open(t, 1), op)
			if err != nil || got != op {
				t.Errorf("got %v, %v", got, err)
			}
			if forge(t, op, "another secret16") == op {
				t.Error("another secret is no difference")
			}
		})
	}
}

var echoOperator = xme.Register("echoOperator", echo[manager.Operator])

// forge makes an operator with a right number and a secret that somebody guessed.
func forge(t testing.TB, o manager.Operator, secret string) (f manager.Operator) {
	t.Helper()
	raw, err := o.MarshalBinary()
	must(t, err)
	must(t, f.UnmarshalBinary(append(raw[:4:4], secret...)))
	if f.Number() != o.Number() {
		t.Fatal("forged another")
	}
	return f
}

// Who knows an operator's number only is nobody, also where that operator was admitted before.
//
// feature: X7, K1
func TestOperatorForged(t *testing.T) {
	m := openWith(t, manager.Options{})
	l := newLock(t, m, manager.LockOptions{Name: "f", Kind: manager.Authorisation})
	for _, secret := range []string{"", "another secret16", strings.Repeat("x", 64)} {
		f := forge(t, m.Operator(), secret)
		x := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
		_, err := acquireOnce.Call(soon(t), x, scene{Lock: l})
		must(t, err)
		_, there := acquireOnce.Call(soon(t), x, scene{Lock: l, Op: f})
		_, create := m.As(f).NewLock(t.Context(), manager.LockOptions{})
		_, find := m.As(f).FindLock(t.Context(), "f")
		for name, err := range map[string]error{
			"a task": there, "Acquire": l.As(f).Acquire(soon(t)), "m.Lock": m.As(f).Lock().Acquire(soon(t)), "SetKind": l.As(f).SetKind(soon(t), manager.Disable),
			"NewLock": create, "FindLock": find, "Authorize": l.As(f).Authorize(soon(t)), "Register": l.As(f).Register(soon(t), f),
		} {
			if !errors.Is(err, manager.ErrNotAuthorised) {
				t.Errorf("%s by a forged ADMIN: %v", name, err)
			}
		}
	}
}
