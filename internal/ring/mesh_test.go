package ring_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/xenonmp/xme/internal/park"
	"github.com/xenonmp/xme/internal/ring"
)

const meshArea = 4096

func newMesh(n int, waits ring.Waits) *ring.Mesh {
	size := ring.MeshSize(n, 8, meshArea)
	mem := make([]uint64, size/8)
	return ring.NewMesh(unsafe.Slice((*byte)(unsafe.Pointer(&mem[0])), size), n, 8, meshArea, waits)
}

// letter returns the i-th of a sequence that both sides know.
func letter(seed uint64, i int) *ring.Letter {
	rnd := rand.New(rand.NewPCG(seed, uint64(i)))
	body := make([]byte, rnd.IntN(meshArea/4-16+1))
	for k := range body {
		body[k] = byte(rnd.Uint32())
	}
	return &ring.Letter{Kind: 1 + uint8(rnd.IntN(255)), Type: rnd.Uint32() & (1<<24 - 1), Comm: rnd.Uint32(), Tag: int32(rnd.Uint32()), Body: body}
}

// TestMesh sends letters of all sizes between three members at the same time, each of which sleeps when it has nothing to do.
func TestMesh(t *testing.T) {
	const n, letters = 3, 2000
	m := newMesh(n, newParks())
	var all sync.WaitGroup
	for me := range n {
		all.Go(func() {
			var out [n]*ring.LetterWriter
			var in [n]*ring.LetterReader
			var sent, got [n]int
			left := 2 * (n - 1) * letters
			for r := range n {
				if r != me {
					out[r], in[r] = m.Writer(me, r), m.Reader(r, me)
				}
			}
			var l ring.Letter
			for left > 0 {
				for r := range n {
					if r == me {
						continue
					}
					for sent[r] < letters && out[r].Put(letter(uint64(me*n+r), sent[r])) {
						sent[r]++
						left--
					}
					for {
						ok, err := in[r].Next(&l)
						if err != nil {
							t.Error(err)
							return
						}
						if !ok {
							break
						}
						want := letter(uint64(r*n+me), got[r])
						if !bytes.Equal(l.Body, want.Body) || l.Kind != want.Kind || l.Type != want.Type || l.Comm != want.Comm || l.Tag != want.Tag {
							t.Errorf("letter %d from %d to %d is another", got[r], r, me)
							return
						}
						in[r].Release()
						got[r]++
						left--
					}
				}
				if left > 0 {
					m.Nap(me, time.Minute, func() bool {
						for r := range n {
							if r != me && (in[r].Ready() || sent[r] < letters && out[r].Room()) {
								return true
							}
						}
						return false
					})
				}
			}
		})
	}
	all.Wait()
}

// TestMeshRelayed has two members with a mesh each, and relays that carry letters from one to the other.
func TestMeshRelayed(t *testing.T) {
	const letters = 3000
	a, b := newMesh(2, park.Waits{}), newMesh(2, park.Waits{})
	a.Relay(0)
	b.Relay(1)
	var all sync.WaitGroup
	all.Go(func() { // member 0 sends
		w := a.Writer(0, 1)
		for i := 0; i < letters; {
			if w.Put(letter(1, i)) {
				i++
				continue
			}
			a.Nap(0, time.Minute, w.Room)
		}
	})
	all.Go(func() { // both relays
		from, to := a.Reader(0, 1), b.Writer(0, 1)
		var l ring.Letter
		for i := 0; i < letters; {
			for {
				ok, err := from.Next(&l)
				if err != nil {
					t.Error(err)
					return
				}
				if !ok {
					break
				}
				if !to.Put(&l) {
					t.Error("no room where there must be as much as in the ring that the letter came from")
					return
				}
				i++
			}
			from.ReleaseTo(b.Head(0, 1))
			// Each mesh wakes a relay of its own; this one looks at both.
			a.Nap(2, time.Millisecond, from.Ready)
		}
	})
	all.Go(func() { // member 1 receives
		r := b.Reader(0, 1)
		var l ring.Letter
		for i := 0; i < letters; {
			ok, err := r.Next(&l)
			if err != nil {
				t.Error(err)
				return
			}
			if !ok {
				b.Nap(1, time.Minute, r.Ready)
				continue
			}
			if !bytes.Equal(l.Body, letter(1, i).Body) {
				t.Errorf("letter %d is another", i)
				return
			}
			r.Release()
			i++
		}
	})
	all.Wait()
	if a.Tail(0, 1) != b.Tail(0, 1) {
		t.Errorf("the rings are not the same: %d and %d", a.Tail(0, 1), b.Tail(0, 1))
	}
}

// FuzzMesh reads a ring that somebody has written rubbish to.
func FuzzMesh(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Add(bytes.Repeat([]byte{0xff}, 64))
	f.Add(append([]byte{0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, rubbish []byte) {
		size := ring.MeshSize(1, 8, meshArea)
		mem := make([]uint64, size/8)
		all := unsafe.Slice((*byte)(unsafe.Pointer(&mem[0])), size)
		m := ring.NewMesh(all, 1, 8, meshArea, newParks())
		rings := all[size-meshArea-192:]
		copy(rings[192:], rubbish)
		r := m.Reader(0, 0)
		var l ring.Letter
		for range 2 * meshArea / 16 {
			ok, err := r.Next(&l)
			if err != nil && !errors.Is(err, ring.ErrCorrupt) {
				t.Fatal(err)
			}
			if err != nil || !ok {
				return
			}
			if len(l.Body) > meshArea {
				t.Fatal("more was read than the ring holds")
			}
			r.Release()
		}
	})
}

// TestMeshRoomOfAnother: a large letter has found no room, all is read, and a small one is put, which looks at what was read. There is room for the large one, and
// Room says so until a Put has found none.
func TestMeshRoomOfAnother(t *testing.T) {
	m := newMesh(2, park.Waits{})
	w, r := m.Writer(0, 1), m.Reader(0, 1)
	large := ring.Letter{Kind: 1, Body: make([]byte, w.Most())}
	for w.Put(&large) {
	}
	if w.Room() {
		t.Error("a full ring has room")
	}
	var l ring.Letter
	for ok, err := r.Next(&l); ok; ok, err = r.Next(&l) {
		must(t, err)
		r.Release()
	}
	for range 3 { // one of them needs what was read
		if !w.Room() {
			t.Error("an empty ring has no room")
		}
		if !w.Put(&ring.Letter{Kind: 1, Body: make([]byte, w.Most()/2)}) {
			t.Fatal("an empty ring takes no letter")
		}
	}
	if !w.Room() || !w.Put(&large) {
		t.Error("there is room, of which Room says nothing")
	}
}

// A relay that frees nothing new between a writer's look and his sleep does not keep him from being woken once it does.
func TestReleaseOfNothing(t *testing.T) {
	asleep, woken := make(chan struct{}), make(chan struct{})
	m := newMesh(2, oneSleep{asleep, woken})
	w, r := m.Writer(0, 1), m.Reader(0, 1)
	for i := 0; w.Put(letter(1, i)); i++ {
	}
	r.ReleaseTo(0)
	go m.Nap(0, time.Hour, w.Room)
	<-asleep
	var l ring.Letter
	if ok, err := r.Next(&l); !ok || err != nil {
		t.Fatal(ok, err)
	}
	r.ReleaseTo(r.Pos())
	select {
	case <-woken:
	default:
		t.Error("there is room, and the writer was not woken")
	}
}

// oneSleep tells that somebody sleeps, and has been woken.
type oneSleep struct{ asleep, woken chan struct{} }

func (s oneSleep) Wait(*atomic.Uint32, uint32, time.Duration) {
	close(s.asleep)
	<-s.woken
}

func (s oneSleep) Wake(*atomic.Uint32, int) { close(s.woken) }
