package manager

import (
	"context"
	"errors"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/latch"
	"github.com/xenonmp/xme/internal/wire"
)

// remote is what this process has of a manager elsewhere: a connection, once it was needed.
type remote struct {
	id id

	mu     sync.Mutex
	c      *conn
	closed bool
	core   *lockCore          // of the tables' lock, for handles that came without; nil: nobody asked
	locks  map[Operator]*Lock // on it

	locking latch.Turn // held while the manager is asked for the lock
}

func newRemote(i id) *remote { return &remote{id: i, locking: latch.NewTurn()} }

// remotes are the managers elsewhere that this process knows.
var remotes sync.Map // id -> *remote

func remoteOf(i id) *remote {
	if r, ok := remotes.Load(i); ok {
		return r.(*remote)
	}
	r, _ := remotes.LoadOrStore(i, newRemote(i))
	return r.(*remote)
}

// conn returns a connection that is kept until unuse.
func (r *remote) conn() (*conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.c != nil {
		err := r.c.use()
		if err == nil {
			return r.c, nil
		}
		r.closed = r.closed || errors.Is(err, ErrClosed)
	}
	if r.closed {
		return nil, ErrClosed
	}
	c, err := connect(r.id, r.over)
	if err != nil {
		return nil, err
	}
	r.c = c
	return c, c.use()
}

// over notes, if c is the connection still, that the manager is closed: that is all that is kept of it.
func (r *remote) over(c *conn) {
	r.mu.Lock()
	if r.c != c {
		r.mu.Unlock()
		return
	}
	r.forget()
}

// close notes that the manager is closed.
func (r *remote) close() {
	r.mu.Lock()
	c := r.c
	r.forget()
	if c != nil {
		c.fail(ErrClosed)
	}
}

// forget lets go what there is of a manager that is closed, and gives back mu. What was taken of the tables' lock belongs to nobody else.
func (r *remote) forget() {
	core := r.core
	r.c, r.closed, r.core, r.locks = nil, true, nil, nil
	r.mu.Unlock()
	if core != nil {
		core.close()
	}
}

// lock returns the handle on the tables' lock for an operator; nil: the manager was not asked for the lock.
func (r *remote) lock(o Operator) *Lock {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.core == nil {
		return nil
	}
	l := r.locks[o]
	if l == nil {
		l = &Lock{c: r.core, op: o, seat: newSeat()}
		r.locks[o] = l
	}
	return l
}

// keepLock keeps what the manager has answered of the tables' lock; false: it is closed.
func (r *remote) keepLock(core *lockCore) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.core, r.locks = core, map[Operator]*Lock{}
	}
	return !r.closed
}

// ask has the manager do op code, and hands read its answer, which is valid until read returns.
func (r *remote) ask(ctx context.Context, code uint8, body []byte, p *wire.Parcel, read func(answer []byte, p *wire.Parcel) error) error {
	c, err := r.conn()
	if err != nil {
		return err
	}
	defer c.unuse()
	return c.ask(ctx, kindRequest, uint32(code), body, p, func(body []byte, p *wire.Parcel) error {
		if p == nil {
			p = &wire.Parcel{}
		}
		return read(body, p)
	})
}

// failure reads an answer that is an error.
func failure(kind uint8, body []byte) error {
	if kind == kindThrew {
		e := new(xme.Error)
		if err := e.UnmarshalBinary(body); err != nil {
			return errorf("%w: %w", errRubbish, err)
		}
		return e
	}
	e := new(answerError)
	err := wire.Decode(answerErrors(), body, e, nil)
	if err == nil {
		err = e.arrived()
	}
	if err != nil {
		return errorf("%w: %w", errRubbish, err)
	}
	return e
}
