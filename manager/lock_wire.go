package manager

import (
	"errors"

	"github.com/xenonmp/xme/internal/wire"
)

// lockRef is how a lock crosses.
type lockRef struct {
	Manager id
	Number  uint32
	Name    string
	Op      Operator
	Memory  lockMemory
}

// managerRef is how a manager crosses, with its own lock.
type managerRef struct {
	Manager id
	Op      Operator
	Memory  lockMemory
	Name    string // of its lock
}

// The codecs are made when they are first used: then all types are registered.
var (
	lockRefs    = lazyCodec[lockRef]()
	managerRefs = lazyCodec[managerRef]()
)

func init() {
	wire.RegisterHandle(wire.Handle[*Lock]{Append: appendLock, Decode: decodeLock})
}

func appendLock(dst []byte, l *Lock, p *wire.Parcel) ([]byte, error) {
	if l.c == nil {
		return dst, innerf("a zero Lock: %w", ErrClosed)
	}
	r := lockRef{Manager: l.c.at.id, Number: l.c.number, Name: l.c.name, Op: l.op, Memory: l.c.lockMemory}
	return wire.AppendNested(lockRefs(), dst, &r, p)
}

func decodeLock(src []byte, p *wire.Parcel) (*Lock, error) {
	var r lockRef
	if err := wire.DecodeNested(lockRefs(), src, &r, p); err != nil {
		return nil, err
	}
	if err := r.Memory.check(); err != nil {
		return nil, err
	}
	c := &lockCore{at: &Manager{id: r.Manager, at: place(r.Manager)}, number: r.Number, name: r.Name, lockMemory: r.Memory}
	return decoded(c, r.Op, p), nil
}

// decoded makes a handle on a lock that has come with p.
func decoded(c *lockCore, o Operator, p *wire.Parcel) *Lock {
	l := &Lock{c: c, op: o, who: holderOf(p)}
	l.made = l.who == nil // else its memory ends with the task
	l.seat = l.who.seat(c, o)
	return l
}

func (m lockMemory) check() error {
	if m.RW == nil || m.Word == nil || m.Board == nil {
		return errors.New("malformed reference to a lock")
	}
	return nil
}
