package monitor

import (
	"context"
	"fmt"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// reference is how a monitor crosses: by its options.
type reference Options

// references is made when it is first used: then all types are registered.
var references = sync.OnceValues(wire.CodecFor[reference])

func init() {
	wire.RegisterHandle(wire.Handle[*Monitor]{Append: appendMonitor, Decode: decodeMonitor})
	proc.RevisionsOf = func(ctx context.Context, m any, keys []string) (map[string]uint64, error) {
		return m.(*Monitor).revisions(ctx, keys)
	}
}

// Retain returns the same monitor as one that does not end with the task whose argument m is: for
// later tasks of the same worker, for example in a package variable that a setup function sets. It
// remembers separately from m what it has opened (Options.Window). Retain returns manager.ErrClosed
// if m's lock has ended.
//
// If m has a lock, the lock's shared memory and descriptors are kept for the new monitor, even when
// the lock and its manager are closed elsewhere: a worker that retains one monitor after another
// must close those no longer used, with Close. A monitor without a manager does not end with a
// task: Retain returns m itself.
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

// Close ends a monitor that Retain has made, and gives back what Retain took. Later calls return an
// error that wraps manager.ErrClosed, as do changes waiting for its lock; a change under way loses
// the lock to the next, and watches go on until they end by themselves. The table, its manager, and
// other monitors stay. Closing twice does nothing, nor does Close on any other monitor: one made by
// New holds nothing of its own, one in a task's argument ends with the task. Close does not wait,
// and may be called concurrently with all other methods.
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
