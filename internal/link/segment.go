package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// Segments are shared memory for the arguments of rows that are big: written once by
// the driver, read where they lie by the worker, which cannot write to them. They are
// used again and again, because memory that nobody has touched yet is slow to write.
// All methods may be called concurrently.
type Segments struct {
	// Forget is called, without locks, with the number of a segment that is being freed.
	Forget func(id uint64)

	mu   sync.Mutex
	free []*Segment // the longest unused first
	idle int        // bytes in free
	last uint64
	off  bool // no more are made
}

// Segment is memory for one value at a time.
type Segment struct {
	ID uint64

	owner *Segments
	mem   *sys.Shared
}

const (
	// SegmentBytes is the size from which a value goes into a segment: below it a
	// copy more costs less than finding one.
	SegmentBytes = 32 << 10
	// segmentUnit is what the sizes of segments are multiples of.
	segmentUnit = 64 << 10
	// idleBytes bounds what is kept for the next value.
	idleBytes = 256 << 20
)

// Get returns a segment with at least n bytes, nil if there is none to be had: then the
// value goes another way.
func (s *Segments) Get(n int) *Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	best := -1
	for i, g := range s.free {
		if size := len(g.mem.Bytes()); size >= n && size <= 2*n+segmentUnit && (best < 0 || size < len(s.free[best].mem.Bytes())) {
			best = i
		}
	}
	if best >= 0 {
		g := s.free[best]
		s.free = slices.Delete(s.free, best, best+1)
		s.idle -= len(g.mem.Bytes())
		return g
	}
	if s.off {
		return nil
	}
	mem, err := sys.NewShared((n + segmentUnit - 1) / segmentUnit * segmentUnit)
	if err != nil {
		return nil
	}
	if mem.SealFutureWrite() != nil {
		_ = mem.Close()
		return nil
	}
	s.last++
	return &Segment{ID: s.last, owner: s, mem: mem}
}

// Bytes returns the segment's memory.
func (g *Segment) Bytes() []byte { return g.mem.Bytes() }

// Free gives a segment back. It may be called on nil; otherwise once, when no worker
// can be reading it any more.
func (g *Segment) Free() {
	if g == nil {
		return
	}
	s := g.owner
	s.mu.Lock()
	s.free = append(s.free, g)
	s.idle += len(g.mem.Bytes())
	var old []*Segment
	for len(s.free) > 0 && (s.off || s.idle > idleBytes) {
		old = append(old, s.free[0])
		s.idle -= len(s.free[0].mem.Bytes())
		s.free = s.free[1:]
	}
	s.mu.Unlock()
	for _, g := range old {
		s.Forget(g.ID)
		_ = g.mem.Close()
	}
}

// Close frees what is unused, and the rest once it is given back.
func (s *Segments) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = true
	for _, g := range s.free {
		_ = g.mem.Close()
	}
	s.free, s.idle = nil, 0
}

// Frame tells a worker of the segment.
func (g *Segment) Frame() (Frame, error) {
	files := wire.Parcel{Items: []wire.Item{{File: g.mem.File()}}}
	parcel, err := files.Clone()
	if err != nil {
		return Frame{}, err
	}
	return Frame{Kind: wire.KindSegment, Call: g.ID, Body: binary.LittleEndian.AppendUint64(nil, uint64(len(g.mem.Bytes()))), Parcel: parcel}, nil
}

// Flags of a row in a lane.
const (
	// FlagSegment: the body says where the arguments lie, the segment's number and
	// how many bytes of it they take.
	FlagSegment = 1 << iota
	// FlagStart: the worker says when it begins.
	FlagStart
)

// In returns the body of such a row.
func (g *Segment) In(n int) (body [16]byte) {
	binary.LittleEndian.PutUint64(body[:], g.ID)
	binary.LittleEndian.PutUint64(body[8:], uint64(n))
	return body
}

// mapSegment maps what a KindSegment frame tells of.
func (s *server) mapSegment(f Frame) error {
	defer f.Parcel.Close()
	if len(f.Body) != 8 || f.Parcel == nil || len(f.Parcel.Items) != 1 {
		return errors.New("malformed")
	}
	size := binary.LittleEndian.Uint64(f.Body)
	if size > 1<<40 {
		return fmt.Errorf("%d bytes", size)
	}
	var file *os.File
	file, f.Parcel.Items[0].File = f.Parcel.Items[0].File, nil
	mem, err := sys.OpenShared(file, int(size), false)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.segments == nil {
		s.segments = map[uint64]*sys.Shared{}
	}
	if old := s.segments[f.Call]; old != nil {
		_ = mem.Close()
		return fmt.Errorf("segment %d is there", f.Call)
	}
	s.segments[f.Call] = mem
	s.wake.Broadcast()
	return nil
}

// unmapSegment drops a segment.
func (s *server) unmapSegment(id uint64) {
	s.mu.Lock()
	mem := s.segments[id]
	delete(s.segments, id)
	s.mu.Unlock()
	if mem != nil {
		_ = mem.Close()
	}
}

// resolve returns what a row's body refers to, waiting for the segment's frame, which
// may come later than the row; nil once the link is over.
func (s *server) resolve(body []byte) ([]byte, error) {
	if len(body) != 16 {
		return nil, errors.New("malformed reference to a segment")
	}
	id, n := binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint64(body[8:])
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.segments[id] == nil {
		if s.over {
			return nil, ErrClosed
		}
		s.wake.Wait()
	}
	mem := s.segments[id].Bytes()
	if n > uint64(len(mem)) {
		return nil, fmt.Errorf("%d bytes in a segment of %d", n, len(mem))
	}
	return mem[:n:n], nil
}
