package monitor

import (
	"fmt"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/wire"
)

// reference is how a monitor crosses: by its options.
type reference Options

// references is made when it is first used: then all types are registered.
var references = sync.OnceValues(wire.CodecFor[reference])

func init() {
	wire.RegisterHandle(wire.Handle[*Monitor]{Append: appendMonitor, Decode: decodeMonitor})
}

// Retain returns the same monitor as one that does not end with the task whose argument m is: for later tasks of the same worker, as a set-up function leaves
// them in a package variable. What it has opened (Options.Window) it remembers apart from m. It returns manager.ErrClosed if m's lock has ended.
//
// The lock's shared memory and descriptors, if m has a lock, are kept for it, also when the lock and its manager are closed elsewhere: who retains one after the
// other closes each that is no longer used, by Close. A monitor without a manager ends with no task: it is returned itself.
func (m *Monitor) Retain() (*Monitor, error) {
	if err := m.usable(); err != nil {
		return nil, err
	}
	o := m.o
	if o.Manager == nil {
		return m, nil
	}
	o.Manager = o.Manager.Retain()
	if o.Lock != nil {
		var err error
		if o.Lock, err = o.Lock.Retain(); err != nil {
			return nil, err
		}
	}
	r := New(o)
	r.retained = true
	return r, nil
}

// Close ends a monitor that Retain has made: what that took is given back. Calls that come later return an error that wraps manager.ErrClosed, and so do changes that
// wait for its lock; a change that is under way loses the lock to the next, and watches go on until they end by themselves. The table, its manager, and other monitors
// stay. Closing twice does nothing, nor does Close on any other monitor: one of New's takes nothing of its own, one of a task's argument ends with the task. It
// does not wait, and may be called concurrently with all other methods.
func (m *Monitor) Close() error {
	if m == nil || !m.retained || m.closed.Swap(true) {
		return nil
	}
	return m.o.Lock.Close()
}

func appendMonitor(dst []byte, m *Monitor, p *wire.Parcel) ([]byte, error) {
	if err := m.usable(); err != nil {
		return dst, err
	}
	if m.o.Manager == nil {
		return dst, fmt.Errorf("%w: a monitor without a manager is a table of this process alone: give it a manager (Options.Manager)", xme.ErrEncode)
	}
	codec, err := references()
	if err != nil {
		return dst, err
	}
	r := reference(m.o)
	return wire.AppendNested(codec, dst, &r, p)
}

func decodeMonitor(src []byte, p *wire.Parcel) (*Monitor, error) {
	codec, err := references()
	if err != nil {
		return nil, err
	}
	var r reference
	if err := wire.DecodeNested(codec, src, &r, p); err != nil {
		return nil, err
	}
	return New(Options(r)), nil
}
