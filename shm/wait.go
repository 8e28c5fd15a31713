package shm

import (
	"context"
	"slices"
	"time"

	"github.com/xenonmp/xme/internal/region"
)

// A wait is what a goroutine waits for. It stands in its owner's slot, so that others can follow the waits from one to the next.
type wait struct {
	own   *owner
	l     *syncs
	since time.Time
	timer *time.Timer
	over  bool // guarded by own.mu
}

// While a wait lasts, who has what it waits for is looked at again now and then.
const (
	firstLook = 50 * time.Millisecond
	laterLook = 250 * time.Millisecond
)

// begin notes that own waits for l.
func (l *syncs) begin(own *owner) *wait {
	w := &wait{own: own, l: l, since: time.Now()}
	own.mu.Lock()
	defer own.mu.Unlock()
	own.waits = append(own.waits, w)
	own.tell()
	w.timer = time.AfterFunc(firstLook, w.look)
	return w
}

// look tells again.
func (w *wait) look() {
	w.own.mu.Lock()
	defer w.own.mu.Unlock()
	if !w.over {
		w.own.tell()
		w.timer.Reset(laterLook)
	}
}

// end takes begin back.
func (w *wait) end() {
	w.timer.Stop()
	w.own.mu.Lock()
	defer w.own.mu.Unlock()
	w.over = true
	w.own.waits = slices.DeleteFunc(w.own.waits, func(o *wait) bool { return o == w })
	w.own.tell()
}

// tell writes the longest wait into the owner's slot. own.mu is held.
func (o *owner) tell() {
	slot := o.t.slot(o.number)
	seq := word(slot, slotSeq)
	seq.Add(1)
	defer seq.Add(1)
	if len(o.waits) == 0 {
		word(slot, slotWait).Store(0)
		word(slot, slotWait+8).Store(0)
		return
	}
	w := o.waits[0]
	for i, half := range idWords(w.l.id) {
		word(slot, slotWait+8*i).Store(half)
	}
	holders := w.l.guard.Holders()
	holders = holders[:min(len(holders), mostHolders)]
	word(slot, slotWait+16).Store(uint64(len(holders)))
	for i, h := range holders {
		word32(slot, slotWait+24+4*i).Store(h)
	}
	word(slot, slotWait+48).Store(uint64(w.since.UnixMilli()))
	storeText(slot[slotName:], w.l.what())
}

// told is what an owner's slot says of its wait.
type told struct {
	id      region.ID
	holders []uint32
	what    string
}

// waitOf reads what an owner waits for; false: nothing.
func (t *owners) waitOf(owner uint32) (w told, ok bool) {
	slot := t.slot(owner)
	for range 1000 {
		seq := word(slot, slotSeq).Load()
		if seq%2 != 0 {
			continue
		}
		if w.id = idAt(slot, slotWait); w.id == (region.ID{}) {
			return w, false
		}
		w.holders = w.holders[:0]
		for i := range min(word(slot, slotWait+16).Load(), mostHolders) {
			w.holders = append(w.holders, word32(slot, slotWait+24+4*int(i)).Load())
		}
		w.what = loadText(slot[slotName:])
		if word(slot, slotSeq).Load() == seq {
			return w, t.alive(owner)
		}
	}
	return w, false // its owner died while it wrote
}

// now returns who has what is waited for: from the lock itself, if this process has it, else as it was told last.
func (w told) now(t *owners) []uint32 {
	var r *region.Region
	if w.id.Kind() == region.Locks {
		r = region.Find(w.id)
	}
	if r == nil {
		return w.holders
	}
	defer r.Release()
	v, err := r.Attach(func(mem []byte) (any, error) { return localOf(r, mem) })
	if l, ok := v.(*syncs); ok && err == nil && l.table == t {
		return l.guard.Holders()
	}
	return w.holders
}

// cycle returns the waits that lead from own, which waits for l, back to it. Each is seen twice, with all others in between: what
// was there both times was there in the meantime.
func (l *syncs) cycle(own *owner) []Wait {
	if first := l.walk(own); first != nil && slices.Equal(first, l.walk(own)) {
		return first
	}
	return nil
}

func (l *syncs) walk(own *owner) []Wait {
	t, seen := l.table, map[uint32]bool{}
	var path []Wait
	var from func(who uint32, what string, holders []uint32) bool
	from = func(who uint32, what string, holders []uint32) bool {
		for _, h := range holders {
			step := Wait{Who: t.who(who), For: what, Held: t.who(h)}
			if h == own.number && (who != h || step.Held.Func != "") { // of a process's goroutines one may hold what another waits for
				path = append(path, step)
				return true
			}
			if seen[h] || h == own.number {
				continue
			}
			seen[h] = true
			w, ok := t.waitOf(h)
			if !ok {
				continue
			}
			path = append(path, step)
			if from(h, w.what, w.now(t)) {
				return true
			}
			path = path[:len(path)-1]
		}
		return false
	}
	if !from(own.number, l.what(), l.guard.Holders()) {
		return nil
	}
	return path
}

// who is describe for who is there still.
func (t *owners) who(number uint32) Owner {
	o, _ := t.describe(number)
	return o
}

// failed makes what a wait returns whose context has ended.
func (l *syncs) failed(own *owner, w *wait, err error) error {
	e := &WaitError{What: l.what(), Err: err, Waited: time.Since(w.since)}
	e.Holders = l.holders()
	if g, ok := l.guard.(interface{ State() string }); ok {
		e.State = g.State()
	}
	e.Cycle = l.cycle(own)
	return e
}

// wait has f wait for what own wants. What f returns if its context ends is explained.
func (p *prim) wait(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, stop := p.bound(ctx)
	defer stop()
	w := p.l.begin(p.own)
	err := f(ctx)
	switch {
	case err == nil:
	case p.closed():
		err = ErrClosed // a context's cause might say something of another lock
	case ctx.Err() != nil:
		err = p.l.failed(p.own, w, err) // it still stands as waiting
	}
	w.end()
	return err
}

// waitInTurn is wait for what one goroutine of the process at a time waits for, all for the same.
func (p *prim) waitInTurn(ctx context.Context, f func(ctx context.Context) error) error {
	return p.wait(ctx, func(ctx context.Context) error {
		if err := p.l.turn.Take(ctx); err != nil {
			return err
		}
		defer p.l.turn.Give()
		return f(ctx)
	})
}
