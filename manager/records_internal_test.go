package manager

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/wire"
)

// fuzzed is an object.
type fuzzed struct{ N int }

func (f *fuzzed) Add(_ context.Context, n int) (int, error) {
	f.N += n
	return f.N, nil
}

// Make takes any n, but what would use up the memory of whoever fuzzes.
func (f *fuzzed) Make(_ context.Context, n int) ([]byte, error) {
	if n > 1<<20 && n < 1<<62 {
		return nil, errors.New("too many")
	}
	return make([]byte, n), nil
}

var (
	fuzzedAdd  = Method("add", (*fuzzed).Add)
	fuzzedMake = Method("make", (*fuzzed).Make)
	fuzzedNew  = Constructor("new", func(_ context.Context, n int) (*fuzzed, error) { return &fuzzed{n}, nil })
)

// records reads a sequence of records from what a fuzzer made: kind, call, number, the body's length, each a byte, and the body.
func records(in []byte, put func(r ring.Result) bool) {
	for len(in) >= 4 {
		r := ring.Result{Kind: in[0], Call: uint32(in[1]), Time: uint64(in[2])}
		n := min(int(in[3]), len(in)-4)
		r.Body, in = in[4:4+n], in[4+n:]
		if !put(r) {
			return
		}
	}
}

// record is one such.
func record(kind uint8, call, number byte, body ...byte) []byte {
	return append([]byte{kind, call, number, byte(len(body))}, body...)
}

// methodCall is the body of one.
func methodCall(number uint16, n uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint16(nil, number), n)
}

// connected returns a connection to a manager in this process, as another process has it.
func connected(t testing.TB, m *Manager) *conn {
	t.Helper()
	c, err := connect(m.id, func(*conn) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.fail(ErrClosed) })
	return c
}

// elsewhere returns an object's handle as another process has it, with a connection of its own.
func elsewhere(t testing.TB, o *Object[fuzzed]) *Object[fuzzed] {
	t.Helper()
	r := newRemote(o.ref.m.id)
	t.Cleanup(r.close)
	return objectAt[fuzzed](&Manager{id: r.id, at: r, op: o.ref.m.op}, o.ref.short())
}

func openFuzzed(t testing.TB) (*Manager, *Object[fuzzed]) {
	t.Helper()
	m, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	o, err := Share(t.Context(), m, "o", &fuzzed{})
	if err != nil {
		t.Fatal(err)
	}
	return m, o
}

// marker is a call's number that records does not make.
const marker = 1 << 20

// withoutArgs asks for objects of which neither they nor what they are made with came along.
func withoutArgs() []newObject {
	return []newObject{{Type: fuzzedAdd.typ}, {Type: fuzzedNew.typ, Make: fuzzedNew.name}}
}

// A request for an object is answered, whatever it leaves out.
//
// feature: M3
func TestShareWithoutArgs(t *testing.T) {
	m, _ := openFuzzed(t)
	for _, in := range withoutArgs() {
		if _, err := overWire(t.Context(), opShare, m, in); !errors.Is(err, errMalformed) {
			t.Errorf("%+v: %v", in, err)
		}
	}
}

// FuzzRecords has a process write any records: the manager goes on to serve others.
func FuzzRecords(f *testing.F) {
	add, mk := fuzzedAdd.number(), fuzzedMake.number()
	f.Add(record(kindCall, 0, 1, methodCall(add, 1)...))
	f.Add(append(record(kindCall|moreBit, 0, 1, methodCall(add, 1)[:4]...), record(kindCall, 0, 1, methodCall(add, 1)[4:]...)...))
	f.Add(append(record(kindCall, 0, 1, methodCall(mk, 1<<17)...), record(kindCancel, 0, cancelUnsent)...))
	f.Add(record(kindCall, 0, 1, methodCall(mk, 1<<62)...))
	f.Add(record(kindBatch, 0, 1, binary.LittleEndian.AppendUint16(nil, add)...))
	f.Add(append(record(kindCall|parcelBit, 0, 1), record(kindCancel|parcelBit, 0, 1)...))
	appends := func(nested bool, op Operator) []byte {
		h := appendHead{method: add, nested: nested, id: 1, op: op}
		return binary.LittleEndian.AppendUint64(h.put(nil), 1)
	}
	f.Add(record(kindAppend, 0, 1, appends(false, public)...))
	f.Add(append(record(kindAppend, 0, 1, appends(true, Operator{})...), record(kindCancel, 0, cancelSent)...))
	f.Add(append(record(kindAppend|parcelBit, 0, 1, appends(false, public)...), record(kindAppend, 1, 1, appends(false, public)[:appendHeadSize]...)...))
	function := appendHead{method: 4, now: true, id: 2, op: public}
	f.Add(append(record(kindAppend, 0, 0, append(function.put(nil), "hostargs"...)...), record(kindCollect, 1, 0)...))
	for _, in := range []askRequest{{Gen: 1}, {Gen: 1, Has: true, Body: []byte{1}}, {Gen: 9, Has: true, Threw: []byte{1, 2}}} {
		body, err := wire.Append(askRequests(), nil, &in, nil)
		if err != nil {
			f.Fatal(err)
		}
		lease, err := wire.Append(inOf(opAttach), nil, &leaseRequest{Idle: time.Hour}, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(record(kindRequest, 0, opAttach.code, lease...), record(kindAsk, 1, 0, body...)...))
	}
	for _, in := range withoutArgs() {
		body, err := wire.Append(inOf(opShare), nil, &in, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(record(kindRequest, 0, opShare.code, body...))
	}
	f.Add(record(kindBye, 0, 0))
	for code := range rawOps {
		f.Add(record(kindRequest, 1, byte(code)))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, o := openFuzzed(t)
		Admit(m)
		c := connected(t, m)
		waits := false // for a parcel that does not come
		records(in, func(r ring.Result) bool {
			waits = waits || r.Kind&parcelBit != 0
			return c.end.Put(r)
		})
		if !waits && c.end.Put(ring.Result{Kind: kindCall, Call: marker, Time: 1, Body: methodCall(add, 0)}) {
			for { // all has been read once that is answered, or the connection is over
				r, ok, err := c.end.Next()
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					c.end.Release()
					if r.Call == marker || r.Kind == kindBye {
						break
					}
				} else if err := c.end.Sleep(t.Context(), c.end.Ready); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, o := range []*Object[fuzzed]{o, elsewhere(t, o)} {
			if _, err := fuzzedAdd.Call(t.Context(), o, 1); err != nil && !errors.Is(err, ErrReleased) {
				t.Fatal(err)
			}
		}
	})
}

// FuzzAnswers has a manager's process write any records: all who wait for it get an end.
func FuzzAnswers(f *testing.F) {
	f.Add(record(kindAnswer, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8))
	f.Add(append(record(kindAnswer, 0, 0), record(kindAnswer, 0, 0)...))
	f.Add(append(record(kindAnswer, 2, 0), record(kindThrew, 1, 0, 1, 2)...))
	f.Add(append(record(kindFailed|moreBit, 1, 0, 9), record(kindFailed|parcelBit, 1, 0, 1)...))
	f.Add(record(kindBye, 0, 0))
	f.Add(record(kindAnswer, 77, 0))
	f.Fuzz(func(t *testing.T, in []byte) {
		p := newPeer(t)
		ended := make(chan error, 3)
		for range cap(ended) {
			w, leads, err := p.c.begin(t.Context(), kindCall, 1, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				ended <- p.c.await(t.Context(), w, leads, false, func(kind uint8, body []byte, _ *parcel) error {
					if kind != kindAnswer {
						return failure(kind, body)
					}
					return nil
				})
			}()
		}
		records(in, p.end.Put)
		p.gone()
		for range cap(ended) {
			t.Log(<-ended)
		}
	})
}
