package link

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// ShareFrame shows a worker shared memory that a row names.
func ShareFrame(r *region.Region) (Frame, error) {
	file, err := r.Show()
	if err != nil {
		return Frame{}, err
	}
	id := r.ID()
	return Frame{Kind: wire.KindShare, Body: id[:], Parcel: &wire.Parcel{Items: []wire.Item{{ID: id, File: file}}}}, nil
}

// UnshareFrame tells a worker that memory it was shown is no more.
func UnshareFrame(id region.ID) Frame { return Frame{Kind: wire.KindUnshare, Body: id[:]} }

// shares is a worker's side of the shared memory that its driver shows it.
type shares struct {
	conn  Conn
	wait  func()        // called before frames are waited for
	ended chan struct{} // closed once the driver shows no more
	spoke atomic.Bool   // frames were sent that the end of the row must not overtake

	mu    sync.Mutex
	shown map[region.ID]*region.Region

	asking sync.Mutex // one question at a time
	answer chan Frame
}

func (s *shares) begin(c Conn, bounded bool) {
	s.conn, s.ended, s.answer, s.shown = c, make(chan struct{}), make(chan Frame, 1), map[region.ID]*region.Region{}
	if c.Local() {
		return // what the driver has is here
	}
	region.OnHold(s.hold, s.unhold)
	region.KeepIdle(workerIdle)
	if bounded {
		region.KeepIdle(0)
		region.SetBudget(s.reserve)
	}
}

// workerIdle is how much unused shared memory a worker keeps, whose tasks make some: less
// than a driver, for there are many workers.
const workerIdle = 32 << 20

// over says that nothing comes any more.
func (s *shares) over() { close(s.ended) }

// end gives up what the driver has shown.
func (s *shares) end() {
	s.mu.Lock()
	shown := s.shown
	s.shown = nil
	s.mu.Unlock()
	for _, r := range shown {
		r.Depart()
	}
}

// event applies a frame of the driver's.
func (s *shares) event(f Frame) error {
	if f.Kind == wire.KindReserved {
		select {
		case s.answer <- f:
			return nil
		default:
			return errors.New("unasked")
		}
	}
	if len(f.Body) != len(region.ID{}) {
		f.Parcel.Close()
		return errors.New("malformed")
	}
	id := region.ID(f.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.shown[id]
	if f.Kind == wire.KindUnshare {
		f.Parcel.Close()
		delete(s.shown, id)
		if r != nil {
			r.Depart()
		}
		return nil
	}
	file, err := f.takeFile()
	if err != nil {
		return err
	}
	if r != nil {
		_ = sys.Release(file)
		return fmt.Errorf("%x is there", id[:4])
	}
	r, err = region.Arrive(id, file)
	if err == nil {
		s.shown[id] = r
	}
	return err
}

// hold tells the driver that this process goes on using memory that it was lent. The
// driver hears of it before the end of the row that runs.
func (s *shares) hold(id region.ID) { s.say(wire.KindHold, id) }

// unhold takes hold back.
func (s *shares) unhold(id region.ID) { s.say(wire.KindUnhold, id) }

func (s *shares) say(k wire.Kind, id region.ID) {
	s.spoke.Store(true)
	s.conn.Send(Frame{Kind: k, Body: id[:]})
	s.conn.Flush()
}

// reserve asks the driver for shared memory to make, or says that it was given up.
func (s *shares) reserve(bytes int) error {
	if bytes < 0 {
		s.spoke.Store(true) // what comes after the row shall find it given up
		s.conn.Send(Frame{Kind: wire.KindReserve, Call: uint64(-bytes), Time: 1})
		s.conn.Flush()
		return nil
	}
	s.wait()
	s.asking.Lock()
	defer s.asking.Unlock()
	s.conn.Send(Frame{Kind: wire.KindReserve, Call: uint64(bytes)})
	s.conn.Flush()
	select {
	case f := <-s.answer:
		if f.Call == 1 {
			return nil
		}
		return &SharedError{Limit: int64(f.Time), Wanted: int64(bytes)}
	case <-s.ended:
		return context.Canceled
	}
}

// SharedError says that a pool's shared memory is used up.
type SharedError struct{ Limit, Wanted int64 }

func (e *SharedError) Error() string {
	return fmt.Sprintf("shared memory: %d bytes more would exceed Options.Shared (%d)", e.Wanted, e.Limit)
}
