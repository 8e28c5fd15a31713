package ring_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/internal/ring"
)

// FuzzQueueSchedule runs three processes in an order that the fuzzer chooses, against a
// model. Any of them may die at any step of what it does; it is swept then, and another
// process takes its place.
func FuzzQueueSchedule(f *testing.F) {
	f.Add([]byte("put and get and die again"), true)
	f.Add([]byte{0, 9, 18, 1, 10, 19, 255, 254, 253, 4, 4, 5, 5, 6, 7, 8}, false)
	f.Fuzz(func(t *testing.T, ops []byte, fixed bool) { newModel(t, fixed).run(ops) })
}

// Random schedules, see FuzzQueueSchedule.
func TestQueueSchedules(t *testing.T) {
	t.Parallel()
	rounds := 400
	if !long.Wanted() {
		rounds = 40
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	ops := make([]byte, 300)
	for round := range rounds {
		for i := range ops {
			ops[i] = byte(rnd.Uint32())
		}
		newModel(t, round%2 == 0).run(ops)
	}
}

// model is a queue and what should be in it.
type model struct {
	t     *testing.T
	mem   []byte
	fixed bool
	procs [3]*ring.Queue
	pids  [3]uint32

	items  []uint64
	sizes  []int // of items
	taken  map[uint32]int
	put    int
	done   int
	lost   int
	told   int
	last   uint32
	next   uint64
	newPID uint32
	ended  bool
}

const (
	modelSlots = 4
	modelArena = 160
)

func newModel(t *testing.T, fixed bool) *model {
	arena := 0
	if !fixed {
		arena = modelArena
	}
	m := &model{t: t, fixed: fixed, taken: map[uint32]int{}}
	_, m.mem = queueOf(t, modelSlots, arena, newParks())
	for i := range m.procs {
		m.born(i)
	}
	return m
}

func (m *model) born(i int) {
	m.newPID++
	m.procs[i], m.pids[i] = opened(m.t, m.mem, newParks()), m.newPID
}

func (m *model) run(ops []byte) {
	for i, op := range ops {
		who, arg := int(op)%3, int(op)/3
		dies := 0
		if arg%5 == 0 && i+1 < len(ops) {
			dies = 1 + int(ops[i+1])%9
		}
		switch arg / 5 % 4 {
		case 0:
			m.step(who, dies, func() int { return m.tryPut(who, arg) })
		case 1, 2:
			m.step(who, dies, func() int { return m.tryGet(who, arg) })
		case 3:
			m.tryDone(who, arg)
		}
		if op == 250 {
			m.procs[who].End()
			m.ended = true
		}
		m.check()
	}
}

// step runs what the process does; if dies is not 0 the process dies at that step, if it
// comes to it.
func (m *model) step(who, dies int, op func() int) {
	var image []byte
	steps := 0
	before := *m
	before.items, before.sizes = slices.Clone(m.items), slices.Clone(m.sizes)
	takenBefore, happened := m.taken[m.pids[who]], false
	q, pid := m.procs[who], m.pids[who]
	q.Steps(func(at string) {
		if steps++; steps <= dies {
			happened = happened || at == "put: published" || at == "get: taken"
			if steps == dies {
				image = bytes.Clone(m.mem)
			}
		}
	})
	op()
	q.Steps(nil)
	if dies == 0 {
		return
	}
	if image != nil {
		copy(m.mem, image)
		if !happened {
			m.items, m.sizes, m.put = before.items, before.sizes, before.put
			m.taken[pid] = takenBefore
		}
	}
	if lost := m.procs[(who+1)%3].Sweep(pid); lost != m.taken[pid] {
		m.t.Fatalf("%d lost, want %d", lost, m.taken[pid])
	}
	if m.taken[pid] > 0 {
		m.last = pid
	}
	m.lost += m.taken[pid]
	delete(m.taken, pid)
	m.born(who)
}

func (m *model) tryPut(who, arg int) (n int) {
	q, pid, count, size := m.procs[who], m.pids[who], 1, 8+arg%152
	var err error
	if m.fixed {
		count, size = 1+arg%6, 0
		var batch []byte
		for i := range count {
			batch = append(batch, elements(m.next+uint64(i))...)
		}
		n, err = q.TryPutFixed(pid, batch)
		if want := min(count, modelSlots-len(m.items)); !m.ended && n != want {
			m.t.Fatalf("put %d, %v, want %d", n, err, want)
		}
	} else {
		item := make([]byte, size)
		fill(item, m.next)
		err = q.TryPutVar(pid, item)
		if err == nil {
			n = 1
		} else if !m.ended && len(m.items) == 0 {
			m.t.Fatalf("put nothing into an empty queue: %v", err)
		}
	}
	want := error(nil)
	if m.ended {
		want = ring.ErrEnded
	} else if n < count {
		want = ring.ErrWouldWait
	}
	wantErr(m.t, err, want)
	for range n {
		m.items, m.sizes = append(m.items, m.next), append(m.sizes, size)
		m.next++
	}
	if m.put += n; len(m.items) > modelSlots {
		m.t.Fatalf("%d items in %d slots", len(m.items), modelSlots)
	}
	bytes := 0
	for _, size := range m.sizes {
		bytes += size
	}
	if bytes > modelArena {
		m.t.Fatalf("%d bytes in %d", bytes, modelArena)
	}
	return n
}

func (m *model) tryGet(who, arg int) (n int) {
	q, pid, buf := m.procs[who], m.pids[who], make([]byte, 8*(1+arg%3))
	var err error
	if m.fixed {
		n, err = q.TryGetFixed(pid, buf)
	} else {
		buf = buf[:8]
		if err = q.TryGetVar(pid, func(item []byte) error {
			if copy(buf, item); !intact(item, binary.LittleEndian.Uint64(item)) {
				m.t.Fatalf("torn item %x", item)
			}
			return nil
		}); err == nil {
			n = 1
		}
	}
	switch {
	case len(m.items) > 0:
		if want := min(len(m.items), len(buf)/8); n != want || err != nil {
			m.t.Fatalf("got %d, %v, want %d", n, err, want)
		}
	case m.ended:
		wantErr(m.t, err, io.EOF)
	default:
		wantErr(m.t, err, ring.ErrWouldWait)
	}
	for i := range n {
		if v := binary.LittleEndian.Uint64(buf[8*i:]); v != m.items[i] {
			m.t.Fatalf("got %d, want %v", v, m.items)
		}
	}
	m.items, m.sizes = m.items[n:], m.sizes[n:]
	m.taken[pid] += n
	return n
}

func (m *model) tryDone(who, arg int) {
	pid, n := m.pids[who], arg%4
	if err := m.procs[who].Done(pid, n); (err == nil) != (n <= m.taken[pid]) {
		m.t.Fatalf("%d done of %d: %v", n, m.taken[pid], err)
	} else if err == nil {
		m.taken[pid] -= n
		m.done += n
	}
}

func (m *model) check() {
	q := m.procs[0]
	if n := q.Len(); n != len(m.items) {
		m.t.Fatalf("len %d, want %d", n, len(m.items))
	}
	if m.done+m.lost < m.put {
		return
	}
	err := opened(m.t, m.mem, newParks()).Join(bounded(m.t))
	l := (*ring.LostError)(nil)
	if errors.As(err, &l) != (m.lost > 0) || l != nil && *l != (ring.LostError{Items: m.lost, PID: m.last}) {
		m.t.Fatalf("%v, want %d lost, last with %d", err, m.lost, m.last)
	}
}
