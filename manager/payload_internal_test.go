package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/wire"
	"github.com/xenonmp/xme/shm"
)

// carrier is an object with memory, which crosses.
type carrier struct {
	A *shm.Array[byte]
	F *os.File
}

func (h *carrier) Close() error {
	if h.A == nil {
		return nil
	}
	return h.A.Close()
}

// remade is one that does not cross: it is made again.
type remade struct {
	carrier
	does func()
}

func (h *carrier) First(context.Context, struct{}) (b byte, err error) {
	return b, h.A.Use(func(s []byte) error { b = s[0]; return nil })
}

var (
	_           = Method("first", (*carrier).First)
	remadeNew   = Constructor("new", newRemade)
	remadeFails = Constructor("fails", func(_ context.Context, a *shm.Array[byte]) (*remade, error) {
		return nil, errors.Join(errors.ErrUnsupported, a.Close())
	})
)

// newRemade takes over a.
func newRemade(_ context.Context, a *shm.Array[byte]) (*remade, error) {
	return &remade{carrier{A: a}, func() {}}, nil
}

// request is what a process asks for an object with an array, of which the first byte is b.
func (m *memory) request(name string, c *constructor, b byte, f func(in newObject)) {
	m.Helper()
	m.with(func(a *shm.Array[byte]) {
		m.must(a.Use(func(s []byte) error { s[0] = b; return nil }))
		p := &wire.Parcel{}
		defer p.Close()
		in := newObject{Name: name, Type: objectName[carrier](), Args: &payload{held: p}}
		var err error
		if c == nil {
			in.Args.data, err = typeNamed(in.Type).encode(&carrier{A: a}, p, nil)
		} else {
			in.Type, in.Make = c.typ, c.name
			in.Args.data, err = wire.Append(remadeNew.in, nil, &a, p)
		}
		m.must(err)
		f(in)
	})
}

// share has a process share an object.
func (m *memory) share(name string, c *constructor, b byte) (number uint32) {
	m.Helper()
	m.request(name, c, b, func(in newObject) {
		var err error
		number, err = overWire(m.ctx, opShare, m.m, in)
		m.must(err)
	})
	return number
}

func newKeeper(t *testing.T) *memory {
	m := newMemory(t)
	m.m.at.(*host).keeper = true
	return m
}

// A snapshot that fails leaves objects what they are made with again.
//
// feature: X1
func TestFailedSnapshot(t *testing.T) {
	m := newKeeper(t)
	h := m.m.at.(*host)
	const objects = 8 // in no order: some before the one that fails
	for i := range objects {
		m.share(fmt.Sprint(i), &remadeNew.constructor, byte(i))
	}
	r, w, err := os.Pipe()
	m.must(err)
	defer r.Close()
	defer w.Close()
	closed, err := shm.NewArray[byte](1)
	m.must(err)
	m.must(closed.Close())
	for _, c := range []*carrier{{F: r}, {A: closed}} {
		bad, err := Share(m.ctx, m.m, "bad", c)
		m.must(err)
		if _, err := overWire(m.ctx, opDump, m.m, m.m.op); err == nil {
			t.Fatal("it was kept")
		}
		m.held(objects)
		m.must(bad.Release(m.ctx))
	}
	img, err := overWire(m.ctx, opDump, m.m, m.m.op)
	m.must(err)
	img.keep()
	m.must(m.m.Close())
	m.held(objects)

	next := bareHost(h.ops.Size, 0)
	next.keeper = true
	m.must(next.load(m.ctx, &img, 1))
	next.open(post.Addr(next.id))
	for i := range objects {
		b, err := next.object(next.named[fmt.Sprint(i)]).v.(*remade).First(m.ctx, struct{}{})
		if int(b) != i || err != nil {
			t.Errorf("object %d: %d, %v", i, b, err)
		}
	}
	img.release()
	m.held(objects)
	next.close()
	m.held(0)
}

// feature: X2, M3
func TestMemoryOfObjectsIsGivenBack(t *testing.T) {
	m := newKeeper(t)
	all := []uint32{m.share("a", nil, 1), m.share("b", &remadeNew.constructor, 2)}
	m.held(2)
	for _, c := range []*constructor{nil, &remadeNew.constructor, &remadeFails.constructor} {
		m.request("a", c, 3, func(in newObject) {
			if _, err := overWire(m.ctx, opShare, m.m, in); !errors.Is(err, ErrExists) {
				t.Error(err)
			}
		})
		m.held(2)
	}
	m.request("c", &remadeFails.constructor, 3, func(in newObject) {
		if _, err := overWire(m.ctx, opShare, m.m, in); err == nil {
			t.Error("it was made")
		}
	})
	for range 2 {
		img, err := overWire(m.ctx, opDump, m.m, m.m.op)
		m.must(err)
		img.keep()
		img.release()
	}
	m.held(2)
	for i, n := range all {
		_, err := overWire(m.ctx, opReleaseObject, m.m, n)
		m.must(err)
		m.held(1 - i)
	}
}
