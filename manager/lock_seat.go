package manager

import (
	"context"
	"slices"
	"sync"

	"github.com/xenonmp/xme/internal/wire"
)

// side is how a seat has a lock.
type side uint8

const (
	sideNone  side = iota
	sideFree       // it was taken while it was disabled: nothing is held
	sideRead       // shared
	sideWrite      // alone
)

// A seat is one holder's place at one lock: what an operator has of it in one task, or by one handle outside of tasks.
type seat struct {
	turn chan struct{} // holds a token while one of the holder's goroutines acquires

	mu   sync.Mutex
	has  side
	both bool      // the lock's kind knew no sides when it was taken: either release gives it back
	by   *lockCore // by whose handle it was taken
}

func newSeat() *seat { return &seat{turn: make(chan struct{}, 1)} }

func (s *seat) now() side {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.has
}

func (s *seat) set(by *lockCore, has side, both bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has, s.both, s.by = has, both, by
}

// sit takes the seat's turn; false: ctx has ended.
func (s *seat) sit(ctx context.Context) bool {
	select {
	case s.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *seat) trySit() bool {
	select {
	case s.turn <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *seat) stand() { <-s.turn }

// seatKey names a seat within a task.
type seatKey struct {
	manager id
	lock    uint32
	op      uint32
}

// A holder is a task: its seats, and the locks that it made or found itself, which end with it.
type holder struct {
	parcel *wire.Parcel // by which it is known until it ends

	mu    sync.Mutex
	over  bool
	seats map[seatKey]*seat
	own   []*lockCore
}

// holders are the tasks of this process that were given locks, by the parcel that brought them.
var holders struct {
	sync.Mutex
	of map[*wire.Parcel]*holder
}

// holderOf returns the task that what is decoded from p belongs to; nil: it belongs to the process.
func holderOf(p *wire.Parcel) *holder {
	if p == nil || !p.Task {
		return nil
	}
	holders.Lock()
	defer holders.Unlock()
	if h := holders.of[p]; h != nil {
		return h
	}
	h := &holder{parcel: p, seats: map[seatKey]*seat{}}
	if holders.of == nil {
		holders.of = map[*wire.Parcel]*holder{}
	}
	holders.of[p] = h
	p.Hold(h)
	return h
}

// End implements wire.Ender: the task has ended. What it has of locks that it was given is swept by package shm.
func (h *holder) End() (leaves bool) {
	holders.Lock()
	delete(holders.of, h.parcel)
	holders.Unlock()
	h.mu.Lock()
	h.over = true
	own := h.own
	h.own = nil
	seats := h.seats
	h.mu.Unlock()
	for _, c := range own {
		for _, s := range seats {
			c.abandon(s)
		}
		if c.own {
			c.close()
		}
	}
	return false
}

// Leave implements wire.Ender: nothing is left.
func (h *holder) Leave() {}

// seat returns an operator's seat at a lock: in a task the one that it has already, otherwise a new one. h may be nil.
func (h *holder) seat(c *lockCore, o Operator) *seat {
	if h == nil {
		return newSeat()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	key := seatKey{c.at.id, c.number, o.number}
	s := h.seats[key]
	if s == nil {
		s = newSeat()
		if !h.over {
			h.seats[key] = s
		}
	}
	return s
}

// keep has what the task has of a lock that it made or found itself end with it, and reports whether the task is still there. h may be nil.
func (h *holder) keep(c *lockCore) bool {
	if h == nil {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		h.own = append(h.own, c)
	}
	return !h.over
}

// drop takes keep back. h may be nil.
func (h *holder) drop(c *lockCore) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.own = slices.DeleteFunc(h.own, func(o *lockCore) bool { return o == c })
}
