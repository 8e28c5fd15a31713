package manager

import (
	"context"
	"reflect"
	"runtime"
	"testing"

	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
	"github.com/xenonmp/xme/shm"
)

// overWire is op.call by way of bytes.
func overWire[In, Out any](ctx context.Context, o *op[In, Out], m *Manager, in In) (out Out, err error) {
	p := wire.NewParcel()
	defer p.Free()
	body, err := wire.Append(inOf(o), nil, &in, p)
	if err != nil {
		return out, err
	}
	answer, back, err := o.serve(ctx, m.at.(*host), &caller{}, body, p, nil)
	if err != nil {
		return out, err
	}
	defer back.Free()
	return out, wire.Decode(outOf(o), answer, &out, back)
}

// memory is how a test sees that memory is given back.
type memory struct {
	*testing.T
	ctx  context.Context
	m    *Manager
	none int
}

func newMemory(t *testing.T) *memory {
	m, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	used, _ := region.Usage()
	return &memory{t, t.Context(), m, used}
}

func (m *memory) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

// held says how many arrays are in use.
func (m *memory) held(want int) {
	m.Helper()
	used, _ := region.Usage()
	if n := (used - m.none + arrayBytes/2) / arrayBytes; n != want { // a manager's own takes a little
		m.Errorf("%d arrays are in use, want %d", n, want)
	}
}

const arrayBytes = 1 << 20

// with has f called with an array, which is closed then.
func (m *memory) with(f func(a *shm.Array[byte])) {
	m.Helper()
	a, err := shm.NewArray[byte](arrayBytes)
	m.must(err)
	f(a)
	m.must(a.Close())
}

// set gives a key an array.
func (m *memory) set(t Tabler, key string) {
	m.Helper()
	m.with(func(a *shm.Array[byte]) { m.must(Set(m.ctx, t, key, []*shm.Array[byte]{a, a})) })
}

// feature: X2, M1
func TestMemoryIsGivenBack(t *testing.T) {
	m := newMemory(t)
	tab := m.m.Table()
	m.set(tab, "a")
	m.held(1)
	m.set(tab, "a")
	m.held(1)
	m.set(tab, "b")
	m.held(2)
	got, err := Get[[]*shm.Array[byte]](m.ctx, tab, "a")
	m.must(err)
	m.must(tab.Delete(m.ctx, "a"))
	m.held(2)
	m.must(got[0].Close())
	m.held(2)
	m.must(got[1].Close())
	m.held(1)
	m.must(tab.Clear(m.ctx))
	m.held(0)

	// What fails keeps nothing.
	m.with(func(a *shm.Array[byte]) {
		if err := m.m.Update(m.ctx, Put("a", a), If("none", 1)); err == nil {
			t.Error("a condition that does not hold held")
		}
		if err := m.m.Update(m.ctx, Put("a", a), Put("b", make(chan int))); err == nil {
			t.Error("a channel was stored")
		}
		if err := Set(m.ctx, m.m.As(Operator{}), "a", a); err == nil {
			t.Error("nobody stored")
		}
	})
	m.held(0)

	// A wrong type, CopyMsg and Snapshot.
	m.set(tab, "a")
	if _, err := Get[int](m.ctx, tab, "a"); err == nil {
		t.Error("an array is an int")
	}
	m.must(m.m.CopyMsg(m.ctx))
	_, err = m.m.Snapshot(m.ctx)
	m.must(err)
	m.set(m.m.Messages(), "a")
	m.must(m.m.CopyMsg(m.ctx))
	m.held(1)
	m.must(tab.Delete(m.ctx, "a"))
	m.held(0)

	// A watch that is left.
	m.set(tab, "a")
	m.set(tab, "b")
	for e, err := range Watch(m.ctx, tab) {
		m.must(err)
		e.Value.s.release()
		break
	}
	m.must(tab.Clear(m.ctx))
	m.held(0)
}

// feature: X2
func TestMemoryOfValuesGoesWithThem(t *testing.T) {
	m := newMemory(t)
	m.set(m.m, "a")
	func() {
		v, err := m.m.Values(m.ctx)
		m.must(err)
		m.must(m.m.Table().Clear(m.ctx))
		m.held(1)
		runtime.KeepAlive(v)
	}()
	for used := 1; used > 0; {
		if m.ctx.Err() != nil {
			t.Fatal("it is still held")
		}
		runtime.GC()
		runtime.Gosched()
		used, _ = region.Usage()
		used -= m.none
	}
}

// feature: M2
func TestMemoryOfCollectionsIsGivenBack(t *testing.T) {
	m := newMemory(t)
	type array = *shm.Array[byte]
	l, err := NewList[array](m.ctx, m.m, "")
	m.must(err)
	d, err := NewMap[string, array](m.ctx, m.m, "")
	m.must(err)
	for range 4 {
		m.with(func(a array) { m.must(l.Append(m.ctx, a)) })
	}
	m.with(func(a array) { m.must(l.Set(m.ctx, 0, a)) })
	m.must(l.Delete(m.ctx, 1, 1))
	m.held(3)
	a, err := l.Pop(m.ctx)
	m.must(err)
	m.held(3)
	m.must(a.Close())
	m.held(2)
	for a, err := range l.All(m.ctx) {
		m.must(err)
		m.must(a.Close())
		break
	}
	for range 2 {
		m.with(func(a array) { m.must(d.Set(m.ctx, "k", a)) })
	}
	m.held(3)
	m.with(func(a array) {
		old, _, err := d.Swap(m.ctx, "k", a)
		m.must(err)
		m.must(old.Close())
	})
	_, err = d.Keys(m.ctx)
	m.must(err)
	m.held(3)
	_, err = d.Delete(m.ctx, "k")
	m.must(err)
	m.held(2)
	m.must(l.Release(m.ctx))
	m.held(0)

	m.with(func(a array) {
		m.must(d.Set(m.ctx, "k", a))
		_, err := NewList(m.ctx, m.m, "named", a)
		m.must(err)
		if _, err = NewList(m.ctx, m.m, "named", a); err == nil {
			t.Error("the name was not taken")
		}
	})
	m.set(m.m, "a")
	m.set(m.m.Messages(), "a")
	m.held(3)
	m.must(m.m.Close())
	m.held(0)
}

// feature: X2
func TestMemoryOverTheWire(t *testing.T) {
	m := newMemory(t)
	put := func(key string, f func(in updateRequest)) {
		m.with(func(a *shm.Array[byte]) {
			s, err := encode([]*shm.Array[byte]{a, a})
			m.must(err)
			f(updateRequest{Op: m.m.op, Changes: []change{{Kind: changePut, Key: key, Value: s}}})
			s.release()
		})
	}
	for range 2 {
		put("a", func(in updateRequest) {
			_, err := overWire(m.ctx, opUpdate, m.m, in)
			m.must(err)
		})
	}
	m.held(1)
	put("a", func(in updateRequest) {
		in.Changes = append(in.Changes, change{Kind: changeIf, Key: "a"})
		if _, err := overWire(m.ctx, opUpdate, m.m, in); err == nil {
			t.Error("a condition that does not hold held")
		}
		in.Changes = append(in.Changes, change{Kind: changeKind(100), Value: &stored{typ: "x", handles: true}})
		if _, err := overWire(m.ctx, opUpdate, m.m, in); err == nil {
			t.Error("there is no such change")
		}
	})
	m.held(1)
	all, err := overWire(m.ctx, opValues, m.m, valuesRequest{})
	m.must(err)
	for _, e := range all {
		if e.Key == "a" && (e.Value.names() != 2 || e.Value.typ != "[]*"+reflect.TypeFor[shm.Array[byte]]().PkgPath()+".Array[uint8]") {
			t.Errorf("%d regions, type %s", e.Value.names(), e.Value.typ)
		}
		e.Value.release()
	}
	a, err := overWire(m.ctx, opWatch, m.m, watchRequest{First: true})
	m.must(err)
	a.Events[0].Value.release()
	m.must(m.m.Table().Clear(m.ctx))
	m.held(0)
}
