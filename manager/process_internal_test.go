package manager

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// inbox keeps who messages are from.
type inbox struct{ from []post.Addr }

// Deliver implements post.Listener.
func (b *inbox) Deliver(m post.Message) {
	m.Parcel.Close()
	b.from = append(b.from, m.From)
}

// Gone implements post.Listener.
func (b *inbox) Gone(post.Addr) {}

// A process that dies while a manager's next one is started is not connected to it: that one would not hear of the death.
//
// feature: X1
func TestDeadDoNotConnect(t *testing.T) {
	s := &supervisor{up: make(chan struct{})}
	dead, lives, at := post.Addr(newID()), post.Addr(newID()), post.Addr(newID())
	var parcels []*wire.Parcel
	for _, from := range []post.Addr{dead, lives, dead} {
		r, err := region.New(1, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		file, err := r.Descriptor()
		if err != nil {
			t.Fatal(err)
		}
		p := &wire.Parcel{Items: []wire.Item{{ID: r.ID(), File: file}}}
		r.Release()
		parcels = append(parcels, p)
		s.Deliver(post.Message{From: from, Body: binary.LittleEndian.AppendUint32([]byte{postConnect}, 1), Parcel: p})
	}
	s.Gone(dead)
	for i, open := range []int{0, 1, 0} {
		if n := len(parcels[i].Items); n != open {
			t.Errorf("message %d has %d descriptors, want %d", i, n, open)
		}
	}
	b := &inbox{}
	defer post.Listen(at, b)()
	(&upListener{s, at}).Deliver(post.Message{From: at})
	if len(b.from) != 1 || b.from[0] != lives {
		t.Errorf("%d messages came, want that of who lives", len(b.from))
	}
}

// What is kept while a process is started leaves alone what that one begins with, until it has it.
//
// feature: X1
func TestKeepWhileStarted(t *testing.T) {
	m, _ := openFuzzed(t)
	memory, err := newKeptMemory("", ReadWrite, board{})
	if err != nil {
		t.Fatal(err)
	}
	sent := &image{Locks: []lockImage{{Memory: memory}}}
	s := &supervisor{id: m.id, op: m.op, sent: sent, begin: hostBegin{Image: sent}, up: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(t.Context())
	defer s.cancel()
	r := newRemote(m.id)
	defer r.close()
	remotes.Store(m.id, r)
	defer remotes.Delete(m.id)
	s.keep(1)
	if s.begin.Image == sent {
		t.Fatal("nothing was kept")
	}
	has := func() bool {
		again, err := memory.retain()
		again.close()
		return err == nil
	}
	if !has() {
		t.Error("a process that is started lacks what it begins with")
	}
	(&upListener{s, post.Addr(newID())}).Deliver(post.Message{})
	l := &upListener{s, post.Addr(newID())}
	if l.Deliver(post.Message{From: l.at}); has() {
		t.Error("what nobody needs is held")
	}
	s.begin.Image.release()
}
