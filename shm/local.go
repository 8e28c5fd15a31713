package shm

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/latch"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/sys"
)

// A region with locks begins with a line that says what is in it:
//
//	0   kind
//	8   of a value: its size; of a pipe: the size of a queue
//	16  of a pipe: the processes that had either end last (4 bytes each)
//	24  of a pipe: the processes that died with either end (4 bytes each); 0: none
//	32  of a pipe: which queues had ended before the first of them died, a bit each, and above them one that says that one did
//	64  the value, the queue, or the pipe's two queues
const headSize = 64

type kind uint64

const (
	kindQueue kind = 1 + iota
	kindPipe
	kindValue
	kindOwners // the table of owners of locks
	kindMutex
	kindRWMutex
	kindSemaphore
	kindCond
	kindEvent
	kindBarrier
)

// alive reports whether there is a process of that number.
func alive(pid uint32) bool { return sys.Alive(int(pid)) }

// local is what this process has of such a region.
type local struct {
	kind   kind
	queues []*side // one, or a pipe's two
	cell   *ring.Cell
	size   int               // of the value, or of an item; 0: any
	turn   latch.Turn        // of a value
	users  [2]*atomic.Uint32 // of a pipe's ends
	broken [2]*atomic.Uint32
	before *atomic.Uint32 // which of its queues had ended before

	ends sync.Mutex // held while one is taken or left
	has  [2]int     // handles on either end that came here, or were retained
}

// side is a queue and the turns of this process's goroutines.
type side struct {
	*ring.Queue
	put, get latch.Turn // who waits for other processes: one thread of this one for each side, however many goroutines wait
}

func newSide(q *ring.Queue) *side {
	q.SetAlive(alive)
	return &side{Queue: q, put: latch.NewTurn(), get: latch.NewTurn()}
}

// localOf finds what is in a region's memory, which may be anything.
func localOf(r *region.Region, mem []byte) (any, error) {
	if len(mem) < headSize {
		return nil, region.ErrMalformed
	}
	k := kind(uint32(word(mem, 0).Load())) &^ driverBit
	if k == kindOwners {
		return ownersOf(mem, r)
	}
	if _, ok := guards[k]; !ok {
		return queueOrCell(mem)
	}
	table := region.Find(idAt(mem, 16))
	if table == nil {
		return nil, region.ErrMalformed
	}
	defer table.Release()
	t, err := attachOwners(table)
	if err != nil {
		return nil, err
	}
	return syncsOf(r, mem, k, t)
}

func queueOrCell(mem []byte) (*local, error) {
	if len(mem) < headSize {
		return nil, region.ErrMalformed
	}
	l := &local{kind: kind(word(mem, 0).Load())}
	size := word(mem, 8).Load()
	body := mem[headSize:]
	switch l.kind {
	case kindQueue:
		q, err := ring.OpenQueue(body, waits{})
		if err != nil {
			return nil, err
		}
		l.queues, l.size = []*side{newSide(q)}, q.Elem()
	case kindPipe:
		if size > uint64(len(body))/2 || size%8 != 0 {
			return nil, region.ErrMalformed
		}
		for i := range 2 {
			q, err := ring.OpenQueue(body[i*int(size):(i+1)*int(size)], waits{})
			if err != nil {
				return nil, err
			}
			if i > 0 && q.Elem() != l.size {
				return nil, region.ErrMalformed
			}
			l.queues, l.size = append(l.queues, newSide(q)), q.Elem()
			l.users[i], l.broken[i] = word32(mem, 16+4*i), word32(mem, 24+4*i)
		}
		l.before = word32(mem, 32)
	case kindValue:
		if size < 1 || size > uint64(len(body)) || ring.CellSize(int(size)) > len(body) {
			return nil, region.ErrMalformed
		}
		l.cell, l.turn = ring.NewCell(body, int(size), waits{}), latch.NewTurn()
		l.cell.SetAlive(alive)
		l.size = int(size)
	default:
		return nil, region.ErrMalformed
	}
	return l, nil
}

// attach returns what this process has of a region that is to be of a kind.
func attach(r *region.Region, k kind) (*local, error) {
	v, err := r.Attach(func(mem []byte) (any, error) { return queueOrCell(mem) })
	if err != nil {
		return nil, err
	}
	if l, ok := v.(*local); ok && l.kind == k {
		return l, nil
	}
	return nil, region.ErrMalformed
}

// sweepPID frees what a dead process holds in a region.
func (l *local) sweepPID(dead uint32) {
	if l.before != nil {
		l.breakEnds(dead)
	}
	for _, q := range l.queues {
		q.Sweep(dead)
	}
	if l.cell != nil {
		l.cell.Sweep(dead)
	}
}

// breakEnds ends both of a pipe's queues if a dead process had an end.
func (l *local) breakEnds(dead uint32) {
	var had [2]bool // looked at once: another process may take an end over meanwhile
	before := uint32(1) << len(l.queues)
	for i, q := range l.queues {
		had[i] = l.users[i].Load() == dead
		if q.Ended() {
			before |= 1 << i
		}
	}
	if had == [2]bool{} {
		return
	}
	l.before.CompareAndSwap(0, before) // who sweeps beside this one may find them ended by it, or by an earlier death
	for i, gone := range had {
		if gone {
			l.broken[i].Store(dead)
		}
	}
	for _, q := range l.queues {
		q.End()
	}
}

// sweepPID of a table frees a dead process's slots.
func (t *owners) sweepPID(dead uint32) {
	for _, o := range t.ofPID(dead) {
		t.free(o)
	}
}

// sweepDead frees what owners of the table hold whose processes have died, and then their slots: those that nobody sweeps, as workers of a worker that
// has died. It reports whether there were any. It goes by their numbers, so a pid may come round meanwhile, and several processes may do so at once.
func (t *owners) sweepDead() bool {
	dead := t.dead()
	if len(dead) == 0 {
		return false
	}
	for _, r := range region.Locked() {
		v, err := r.Attach(func(mem []byte) (any, error) { return localOf(r, mem) })
		if l, ok := v.(*syncs); ok && err == nil && l.table == t {
			for _, o := range dead {
				l.sweep(o)
			}
		}
		r.Release()
	}
	for _, o := range dead {
		t.free(o)
	}
	return true
}

func init() { proc.OnDeath(func(pid int) { sweepAll(uint32(pid)) }) }

// sweepAll frees what a dead process holds: first in what has locks, then who it was.
func sweepAll(dead uint32) {
	all := region.Locked()
	for _, tables := range []bool{false, true} {
		for _, r := range all {
			v, err := r.Attach(func(mem []byte) (any, error) { return localOf(r, mem) })
			if err != nil {
				continue
			}
			if _, ok := v.(*owners); ok == tables {
				v.(sweeper).sweepPID(dead)
			}
		}
	}
	for _, r := range all {
		r.Release()
	}
}

// openLocked makes a region for something of a kind, whose making is begin's.
func openLocked(c *core, k kind, body int, begin func(mem []byte) error) error {
	if err := open(c, headSize+body, region.Locks); err != nil {
		return err
	}
	mem, err := c.bytes()
	if err == nil {
		word(mem, 0).Store(uint64(k))
		err = begin(mem)
	}
	if err == nil {
		_, err = attach(c.region, k)
	}
	if err != nil {
		c.region.Release()
		c.region = nil
		return fmt.Errorf("shm: %w", err)
	}
	return nil
}
