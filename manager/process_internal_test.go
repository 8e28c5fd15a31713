package manager

import (
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
