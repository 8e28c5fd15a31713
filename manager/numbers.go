package manager

import (
	"sync/atomic"

	"github.com/xenonmp/xme/shm"
)

// numbers gives objects, lists, maps and locks their numbers. None has one that another had: a handle on what is no more is told so. For a manager that may
// come back the last number lies in memory of the process that opened it.
type numbers struct {
	last    atomic.Uint64
	outside *shm.Value[uint64] // nil: last
}

// next returns the next number, the first is 1.
func (n *numbers) next() uint64 {
	if n.outside != nil {
		return shm.Add(n.outside, 1)
	}
	return n.last.Add(1)
}

// next32 is next for what has room for 32 bits.
func (n *numbers) next32() (uint32, error) {
	next := n.next()
	if next>>32 != 0 {
		return 0, errorf("it has had %d objects, lists, maps and locks, more than it can tell apart: open another", uint64(1)<<32)
	}
	return uint32(next), nil
}
