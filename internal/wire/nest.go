package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// NestOptions is how a call that a task makes is to be run: what stands before its
// arguments in a KindNest frame.
type NestOptions struct {
	Timeout time.Duration
	Memory  int64
	On      []int
	Fresh   bool
	Service bool
}

// maxOn bounds the ranks one call may name.
const maxOn = 1 << 16

// Append adds o's encoding to b.
func (o NestOptions) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(o.Timeout))
	b = binary.LittleEndian.AppendUint64(b, uint64(o.Memory))
	var flags byte
	if o.Fresh {
		flags |= 1
	}
	if o.Service {
		flags |= 2
	}
	b = append(b, flags)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(o.On)))
	for _, r := range o.On {
		b = binary.LittleEndian.AppendUint32(b, uint32(r))
	}
	return b
}

// ParseNestOptions reads options off the front of b and returns the rest.
func ParseNestOptions(b []byte) (o NestOptions, rest []byte, err error) {
	r := reader{b: b}
	o.Timeout = time.Duration(r.uint64())
	o.Memory = int64(r.uint64())
	if p := r.take(1); p != nil {
		o.Fresh, o.Service = p[0]&1 != 0, p[0]&2 != 0
	}
	n := r.uint32()
	if n > maxOn || int(n) > len(r.b)/4 {
		return o, nil, fmt.Errorf("a call on %d ranks", n)
	}
	for range n {
		o.On = append(o.On, int(int32(r.uint32())))
	}
	if r.bad || o.Timeout < 0 || o.Memory < 0 {
		return o, nil, errors.New("malformed options of a call")
	}
	return o, r.b, nil
}
