package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/xenonmp/xme/internal/ring"
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
	made int  // that there are
	off  bool // no more are made

	unsealed bool // the system cannot seal them: none are made
	bound    int  // how many there may be; 0: mostSegments
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
	SegmentBytes = 64 << 10
	// segmentUnit is what the sizes of segments are multiples of.
	segmentUnit = 64 << 10
	// idleBytes and idleSegments bound what is kept for the next values.
	idleBytes    = 256 << 20
	idleSegments = 64
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
	var old *Segment // that is let go for this one
	switch {
	case s.off || s.unsealed:
		return nil
	case s.made < s.most():
		s.made++
	case len(s.free) == 0:
		return nil
	default: // of another size
		old = s.free[0]
		s.free = s.free[1:]
		s.idle -= len(old.mem.Bytes())
	}
	s.last++
	g := &Segment{ID: s.last, owner: s}
	s.mu.Unlock() // it may take long
	if old != nil {
		s.Forget(old.ID)
		_ = old.mem.Close()
	}
	mem, err := sys.NewShared((n + segmentUnit - 1) / segmentUnit * segmentUnit)
	if err == nil {
		if err = mem.SealFutureWrite(); err != nil {
			_ = mem.Close()
		}
	}
	if err == nil {
		mem.Prefault()
	}
	s.mu.Lock()
	if err != nil {
		s.made--
		s.unsealed = s.unsealed || errors.Is(err, errors.ErrUnsupported) // each one would be made and thrown away
		return nil
	}
	g.mem = mem
	return g
}

// MostSegments bounds the segments of one pool, or worker: each is a descriptor.
const MostSegments = 256

// mostSegments is MostSegments, or less where few descriptors are to be had.
var mostSegments = sync.OnceValue(func() int { return min(MostSegments, sys.FileLimit()/8) })

func (s *Segments) most() int {
	if s.bound > 0 {
		return s.bound
	}
	return mostSegments()
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
	for len(s.free) > 0 && (s.off || s.idle > idleBytes || len(s.free) > idleSegments) {
		s.made--
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
	s.made -= len(s.free)
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
	// FlagLoose: the row is of no stream, and its body begins behind the eight bytes that would say so.
	FlagLoose
)

// IndexSize is how many bytes of a row's body say which row of a stream it is, -1: of none.
const IndexSize = 8

// In returns the body of such a row.
func (g *Segment) In(n int) (body [16]byte) {
	binary.LittleEndian.PutUint64(body[:], g.ID)
	binary.LittleEndian.PutUint64(body[8:], uint64(n))
	return body
}

// ParseIn reads where a value lies: how many bytes of which segment.
func ParseIn(body []byte) (id, n uint64, err error) {
	if len(body) != 16 {
		return 0, 0, errors.New("malformed reference to a segment")
	}
	return binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint64(body[8:]), nil
}

// MapSegment maps the memory that a frame with a file and a size brings. It takes the
// file over.
// most bounds it, beside what sizes are rounded up by.
func MapSegment(f Frame, size []byte, most int) (*sys.Shared, error) {
	if len(size) != 8 {
		f.Parcel.Close()
		return nil, errors.New("malformed")
	}
	n := binary.LittleEndian.Uint64(size)
	if n > uint64(most)+segmentUnit {
		f.Parcel.Close()
		return nil, fmt.Errorf("%d bytes", n)
	}
	file, err := f.takeFile()
	if err != nil {
		return nil, err
	}
	return sys.OpenShared(file, int(n), false)
}

// mapSegment maps what a KindSegment frame tells of.
func (s *server) mapSegment(f Frame) error {
	mem, err := MapSegment(f, f.Body, math.MaxInt-segmentUnit)
	if err != nil {
		return err
	}
	mem.Prefault() // at least half of it will be read
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

// unmapAll frees what the worker shares, once nothing runs: workers may be goroutines of
// a process that lives on.
func (s *server) unmapAll() {
	s.mu.Lock()
	segments := s.segments
	s.segments = nil
	s.mu.Unlock()
	for _, mem := range segments {
		_ = mem.Close()
	}
	s.results.Close()
	for _, g := range s.results.away {
		g.Free()
	}
}

// resolve returns what a row's body refers to, waiting for the segment's frame, which
// may come later than the row; ErrClosed once the link is over.
func (s *server) resolve(body []byte) ([]byte, error) {
	id, n, err := ParseIn(body)
	if err != nil {
		return nil, err
	}
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

// results are a worker's segments for big results: written by the row, read by the
// driver where they lie.
type results struct {
	Segments

	told  map[uint64]bool     // of which the driver knows
	away  map[uint64]*Segment // that it has not read yet
	bytes int                 // in away
}

// awayBytes bounds the results that the driver has not read: beyond it they go by the
// link, which waits.
const awayBytes = 64 << 20

// space returns a segment's memory for a result of n bytes, nil if there is none to be
// had.
func (s *server) space(l *workerLane, n int) []byte {
	s.mu.Lock()
	full := s.results.bytes+n > awayBytes && s.results.bytes > 0
	s.mu.Unlock()
	if n < SegmentBytes || full || l.out != nil {
		return nil
	}
	if l.out = s.results.Get(n); l.out == nil {
		return nil
	}
	return l.out.Bytes()[:0]
}

// endIn sends the end of a row whose result lies in l.out.
func (s *server) endIn(l *workerLane, took uint64, n int) {
	g := l.out
	l.out = nil
	s.mu.Lock()
	told := s.results.told[g.ID]
	s.results.told[g.ID] = true
	s.results.away[g.ID] = g
	s.results.bytes += len(g.Bytes())
	s.mu.Unlock()
	in := g.In(n)
	switch {
	case told && s.spoke(l):
		s.endElsewhere(l, Frame{Kind: wire.KindResultIn, Call: l.call, Time: took, Body: in[:]})
		return
	case told:
		l.over = !l.put(ring.Result{Kind: uint8(wire.KindResultIn), Call: uint32(l.call), Time: took, Body: in[:]}, true)
		return
	}
	f, err := g.Frame()
	if err != nil { // no descriptors: this one goes by value
		value := slices.Clone(g.Bytes()[:n])
		s.mu.Lock()
		delete(s.results.told, g.ID)
		s.mu.Unlock()
		s.read(g.ID)
		s.endElsewhere(l, Frame{Kind: wire.KindResult, Call: l.call, Time: took, Body: value})
		return
	}
	f.Kind, f.Call, f.Time, f.Body = wire.KindResultIn, l.call, took, append(in[:], f.Body...)
	s.endElsewhere(l, f)
}

// read takes a result's memory back that the driver has read.
func (s *server) read(id uint64) {
	s.mu.Lock()
	g := s.results.away[id]
	delete(s.results.away, id)
	if g != nil {
		s.results.bytes -= len(g.Bytes())
	}
	s.mu.Unlock()
	g.Free()
}

// unmapResult tells the driver that a result's memory is used no more.
func (s *server) unmapResult(id uint64) {
	s.mu.Lock()
	told := s.results.told[id]
	delete(s.results.told, id)
	s.mu.Unlock()
	if told {
		s.conn.Send(Frame{Kind: wire.KindUnmap, Call: id})
		s.conn.Flush()
	}
}
