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
	return New(o), nil
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
	return codec.AppendNested(dst, &r, p)
}

func decodeMonitor(src []byte, p *wire.Parcel) (*Monitor, error) {
	codec, err := references()
	if err != nil {
		return nil, err
	}
	var r reference
	if err := codec.DecodeNested(src, &r, p); err != nil {
		return nil, err
	}
	return New(Options(r)), nil
}
