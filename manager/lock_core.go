package manager

import (
	"errors"
	"strings"

	"github.com/xenonmp/xme/shm"
)

// look reads the lock's word.
func (c *lockCore) look() (w lockWord, err error) {
	defer func() {
		if recover() != nil { // package shm panics if a Value is closed
			w, err = 0, c.closed(shm.ErrClosed)
		}
	}()
	w = c.Word.Load()
	if w&wordClosed != 0 {
		return w, c.closed(shm.ErrClosed)
	}
	return w, nil
}

// settings reads the lock's board; of a lock that is closed the zero board.
func (c *lockCore) settings() (b board) {
	defer func() {
		if recover() != nil {
			b = board{}
		}
	}()
	return c.Board.Load()
}

// mark has the next holder be told that somebody died holding the lock. The caller holds it, to write.
func (c *lockCore) mark() {
	defer func() { _ = recover() }()
	c.Word.Update(func(w lockWord) lockWord { return w | wordLeft })
}

// marked has nobody be told any more. The caller holds it, to write.
func (c *lockCore) marked() {
	defer func() { _ = recover() }() // it is closed: nobody will be
	c.Word.Update(func(w lockWord) lockWord { return w &^ wordLeft })
}

// closed is what the methods of a lock return whose handle is closed, or whose manager.
func (c *lockCore) closed(err error) error {
	if errors.Is(err, shm.ErrClosed) && !errors.Is(err, ErrClosed) {
		return errorf("%v: %w: %w", &Lock{c: c}, ErrClosed, err)
	}
	return err
}

func (c *lockCore) close() { c.lockMemory.close() }

// abandon gives back what a seat of an ended task has by this handle: the next holder is told, as of a death.
func (c *lockCore) abandon(s *seat) {
	switch s.leave(c) {
	case sideWrite:
		c.mark()
		_ = c.RW.Unlock()
	case sideRead:
		_ = c.RW.RUnlock()
	}
}

// abandonQuietly gives back what a seat has by this handle.
func (c *lockCore) abandonQuietly(s *seat) {
	switch s.leave(c) {
	case sideWrite:
		_ = c.RW.Unlock()
	case sideRead:
		_ = c.RW.RUnlock()
	}
}

// leave empties the seat, if what it has was taken by c, and returns what it was.
func (s *seat) leave(c *lockCore) side {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by != c {
		return sideNone
	}
	has := s.has
	s.has, s.by = sideNone, nil
	return has
}

// release gives back what a seat has.
func (l *Lock) release(s *seat, o lockCall) error {
	if l == nil || l.c == nil {
		return errorf("a zero Lock: %w", ErrClosed)
	}
	w, err := l.c.look()
	if err != nil && w&wordClosed == 0 {
		return err
	}
	s.mu.Lock()
	has, both, by := s.has, s.both, s.by
	ok := has == sideFree || has == sideWrite && (both || !o.shared) || has == sideRead && (o.shared || w.kind() != ReadWrite)
	if ok {
		s.has, s.by = sideNone, nil
	}
	s.mu.Unlock()
	switch {
	case !ok && w.kind() == Disable && has == sideNone:
		return nil
	case !ok:
		return l.notHolder(has)
	case has == sideWrite:
		err = by.RW.Unlock()
	case has == sideRead:
		err = by.RW.RUnlock()
	default:
		return nil
	}
	if errors.Is(err, shm.ErrNotHeld) { // it was taken from a task that has ended
		return errorf("%v: %w: %w", l, ErrNotHolder, err)
	}
	return l.c.closed(err)
}

func (l *Lock) notHolder(has side) error {
	switch has {
	case sideRead:
		return errorf("%v: %v reads under it: ReleaseRead gives that back: %w", l, l.op, ErrNotHolder)
	case sideWrite:
		return errorf("%v: %v has it to write: Release gives that back: %w", l, l.op, ErrNotHolder)
	}
	text := "nobody holds it"
	if t := l.holderText(); t != "" {
		text = "held by " + t
	}
	return errorf("%v: %v does not hold it here (%s): %w", l, l.op, text, ErrNotHolder)
}

// holderText says who has the lock; empty: nobody, as far as that is known.
func (l *Lock) holderText() string {
	var all []string
	for _, h := range l.Holders() {
		all = append(all, h.String())
	}
	return strings.Join(all, ", and ")
}

// Holders returns who has the lock for writing or, if nobody has, all readers: tasks, or processes
// for what they hold outside tasks. It sends no message.
func (l *Lock) Holders() []shm.Holder {
	if l == nil || l.c == nil {
		return nil
	}
	return l.c.RW.Holders()
}
