package link

import (
	"sync/atomic"
	"unsafe"

	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// Begun is a word that a worker shares with its driver: the number of the row on the
// link that it began last. It stands for a start frame, which would cost a write and wake
// the driver, and is looked at when somebody has to know. What is there once the worker
// is gone was stored before the row ran.
type Begun struct {
	mem  *sys.Shared
	word *atomic.Uint64
}

const begunBytes = 8

// OpenBegun makes a word and the frame that tells a worker of it.
func OpenBegun() (*Begun, Frame, error) {
	mem, err := sys.NewShared(begunBytes)
	if err != nil {
		return nil, Frame{}, err
	}
	parcel := wire.Parcel{Items: []wire.Item{{File: mem.File()}}}
	copied, err := parcel.Clone()
	if err != nil {
		_ = mem.Close()
		return nil, Frame{}, err
	}
	return newBegun(mem), Frame{Kind: wire.KindBegun, Parcel: copied}, nil
}

func newBegun(mem *sys.Shared) *Begun {
	return &Begun{mem: mem, word: (*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(mem.Bytes())))}
}

// mapBegun maps the word that a frame brings.
func mapBegun(f Frame) (*Begun, error) {
	file, err := f.takeFile()
	if err != nil {
		return nil, err
	}
	mem, err := sys.OpenShared(file, begunBytes, true)
	if err != nil {
		return nil, err
	}
	return newBegun(mem), nil
}

// Last returns the number of the row that has begun last; it may be anything if the worker
// writes rubbish.
func (g *Begun) Last() uint64 { return g.word.Load() }

// Close frees the word. It may be called on nil.
func (g *Begun) Close() {
	if g != nil {
		_ = g.mem.Close()
	}
}
