package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// Sizes of a lane's rings, in bytes, and how many rows may be under way in it. A value
// that takes more than a quarter of a ring goes another way.
const (
	laneRows    = 512 << 10
	laneResults = 256 << 10
	laneDepth   = 2048
)

// Bell wakes who waits on it. It may be rung from any goroutine and never blocks.
type Bell interface{ Ring() }

// Lane is the driver's end of the memory that it shares with a worker, beside their
// Conn. While rows are under way in the lane, none are on the Conn, and the other way
// round, so that there is one order of rows and one of results.
type Lane struct {
	Rows    *ring.RowWriter
	Results *ring.ResultReader
	Watch   ring.Watch

	mem    *ring.Lane
	sleeps ring.Sleeper
	wants  ring.Sleeper
	bell   Bell // the worker's
	free   func() error
}

// NewLane makes the driver's end over memory that both sides have; bell wakes the
// worker, free is called by Close.
func NewLane(mem []byte, bell Bell, free func() error) *Lane {
	l := ring.NewLane(mem, laneRows)
	return &Lane{
		Rows: l.RowWriter(laneDepth), Results: l.ResultReader(), Watch: l.Watch(), mem: l, sleeps: l.Sleeper(), wants: l.Wanter(), bell: bell, free: free,
	}
}

// LaneSize is how much memory a lane takes.
var LaneSize = ring.Size(laneRows, laneResults)

// SetPace tells the worker how to look for rows before it sleeps.
func (l *Lane) SetPace(p ring.Pace) { l.mem.SetPace(p) }

// Asleep reports whether the worker sleeps and is to be woken, with Wake; it says so
// once.
func (l *Lane) Asleep() bool { return l.sleeps.Take() }

// Release frees the room of results that were read. It reports whether the worker
// waits for it and is to be woken, with Wake.
func (l *Lane) Release() (wake bool) {
	l.Results.Release()
	return l.wants.Take()
}

// Wake wakes the worker.
func (l *Lane) Wake() { l.bell.Ring() }

// Close frees the memory: nobody may use the lane any more.
func (l *Lane) Close() error {
	if l.free == nil {
		return nil
	}
	return l.free()
}

// OpenLane makes a lane in shared memory and the frame that tells the worker of it.
// The worker rings one of bells when it is asked to. The error wraps
// errors.ErrUnsupported where there is no shared memory.
func OpenLane(bells [2]*sys.Bell) (*Lane, Frame, error) {
	mem, err := sys.NewShared(LaneSize)
	if err != nil {
		return nil, Frame{}, err
	}
	bell, err := sys.NewBell()
	if err == nil {
		err = mem.Seal()
	}
	parcel := &wire.Parcel{}
	memory := func() (*os.File, error) { return sys.Hold(mem.File(), "xme-lane") }
	for i, hold := range []func() (*os.File, error){memory, bell.Hold, bells[0].Hold, bells[1].Hold} {
		if err == nil {
			var f *os.File
			f, err = hold()
			parcel.Items = append(parcel.Items, wire.Item{ID: [wire.IDSize]byte{byte(i)}, File: f})
		}
	}
	if err != nil {
		parcel.Close()
		if bell != nil {
			_ = bell.Close()
		}
		_ = mem.Close()
		return nil, Frame{}, fmt.Errorf("open a lane: %w", err)
	}
	body := binary.LittleEndian.AppendUint32(nil, uint32(LaneSize))
	l := NewLane(mem.Bytes(), bell, func() error { return errors.Join(bell.Close(), mem.Close()) })
	return l, Frame{Kind: wire.KindLane, Body: body, Parcel: parcel}, nil
}

// PairLane makes a lane in this process's own memory, for a worker at the other end of
// a [Pair], so that the race detector sees both sides.
func PairLane(bells [2]*sys.Bell) (*Lane, Frame) {
	words := make([]uint64, LaneSize/8+1)
	mem := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
	if uintptr(unsafe.Pointer(&words[0]))%ring.Align != 0 {
		mem = mem[8:]
	}
	mem = mem[:LaneSize]
	bell := &chanBell{rung: make(chan struct{}, 1), closed: make(chan struct{})}
	worker := newWorkerLane(ring.NewLane(mem, laneRows))
	worker.bells = []waitBell{bell, bells[0], bells[1]}
	return NewLane(mem, bell, nil), Frame{Kind: wire.KindLane, lane: worker}
}

// chanBell is a bell within one process.
type chanBell struct {
	rung, closed chan struct{}
	once         sync.Once
}

func (b *chanBell) Ring() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

func (b *chanBell) Wait() error {
	select {
	case <-b.rung:
		return nil
	case <-b.closed:
		return ErrClosed
	}
}

func (b *chanBell) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// laneFiles is how many files come with a KindLane frame.
const laneFiles = 4

// openLane is the worker's end of what OpenLane made.
func openLane(f Frame) (*workerLane, error) {
	defer f.Parcel.Close()
	if len(f.Body) != 4 || f.Parcel == nil || len(f.Parcel.Items) != laneFiles {
		return nil, errors.New("malformed")
	}
	if n := binary.LittleEndian.Uint32(f.Body); int(n) != LaneSize {
		return nil, fmt.Errorf("%d bytes, want %d", n, LaneSize)
	}
	take := func(i int) *os.File {
		file := f.Parcel.Items[i].File
		f.Parcel.Items[i].File = nil
		return file
	}
	mem, err := sys.OpenShared(take(0), LaneSize, true)
	if err != nil {
		return nil, err
	}
	l := ring.NewLane(mem.Bytes(), laneRows)
	w := newWorkerLane(l)
	for i := 1; i < laneFiles; i++ {
		bell, err := sys.OpenBell(take(i))
		if err == nil && i == 1 {
			err = bell.Listen() // its own
		}
		if err != nil {
			return nil, err // the process ends with its link
		}
		w.bells = append(w.bells, bell)
	}
	return w, nil
}
