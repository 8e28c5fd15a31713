package region

import (
	"fmt"
	"os"
	"sync"

	"github.com/xenonmp/xme/internal/sys"
)

// Find returns the region of that id with one more reference, nil if this process has
// none or nobody holds it.
func Find(id ID) *Region {
	if r := table.last.Load(); r != nil && r.id == id && r.RetainLive() {
		return r
	}
	table.mu.Lock()
	defer table.mu.Unlock()
	return findLocked(id)
}

// FindEncoded is Find for the id that src begins with, as Append has written it, if it is that of the region that was asked for last; else it returns nil.
func FindEncoded(src []byte) (r *Region, bits byte, rest []byte) {
	r = table.last.Load()
	if r == nil || len(src) < len(r.text) || src[0]&(1<<markBits-1) != r.text[0] || string(src[1:len(r.text)]) != r.text[1:] || !r.RetainLive() {
		return nil, 0, nil
	}
	return r, src[0] >> markBits, src[len(r.text):]
}

func findLocked(id ID) *Region {
	r := table.regions[id]
	if r == nil || !r.RetainLive() {
		return nil
	}
	table.last.Store(r)
	return r
}

// Await is Find for a region that a driver is about to show; nil once over is closed.
func Await(id ID, over <-chan struct{}) *Region {
	for {
		table.mu.Lock()
		r, next := findLocked(id), table.arrived
		table.mu.Unlock()
		if r != nil {
			return r
		}
		select {
		case <-next:
		case <-over:
			return nil
		}
	}
}

// Adopt returns the region of an id that came with its descriptor, with one more
// reference. It takes the descriptor over. That it is memory of the size that the id
// says is found out when it is mapped.
func Adopt(id ID, file *os.File) (*Region, error) { return adopt(id, file, false) }

// adopt is Adopt; shown says that the driver sees to the memory, which is known before anybody can find the region.
func adopt(id ID, file *os.File, shown bool) (*Region, error) {
	table.mu.Lock()
	defer table.mu.Unlock()
	r := findLocked(id)
	if r != nil {
		_ = sys.Release(file)
	} else {
		if old := table.regions[id]; !Is(id) || id.Size() == 0 || old != nil && old.keeps() { // that one lies unused here, or is about to: who has it has no business to
			_ = sys.Release(file)
			return nil, fmt.Errorf("%w (%x)", ErrGone, id[:4])
		}
		r = named(id)
		r.file = file
		r.refs.Store(1)
	}
	if shown {
		r.came.Store(true)
		r.held.Store(false) // whoever shows it counts anew
	}
	table.regions[id] = r
	return r, nil
}

// Arrive is Adopt for a region that this process's driver shows, which holds the
// reference until it says that the region is no more (Depart).
func Arrive(id ID, file *os.File) (*Region, error) {
	r, err := adopt(id, file, true)
	if err == nil {
		table.mu.Lock()
		close(table.arrived)
		table.arrived = make(chan struct{})
		table.mu.Unlock()
	}
	return r, err
}

// Lend notes that a running row uses the region, whose memory another process sees to
// for as long as the row runs, and reports whether Unlend must say that it has ended: of
// what a driver has shown that is known without.
func (r *Region) Lend() (counted bool) {
	if r.came.Load() {
		return false
	}
	r.lent.Add(1)
	return true
}

// Unlend takes Lend back.
func (r *Region) Unlend() { r.lent.Add(-1) }

// holding orders what is told of holds: of one region, each before its end.
var holding struct {
	sync.Mutex
	hold, unhold func(ID)
}

// OnHold has hold called with the ids of lent regions that this process goes on using, and
// unhold with those of them that have locks once it does not any more. They are called one
// at a time.
func OnHold(hold, unhold func(ID)) {
	holding.Lock()
	defer holding.Unlock()
	holding.hold, holding.unhold = hold, unhold
}

// Depart is Release by the driver that had the region arrive.
func (r *Region) Depart() {
	r.came.Store(false)
	r.Release()
}

// Hold adds a reference that outlives the row that the region was lent to; the caller has
// one.
func (r *Region) Hold() {
	r.refs.Add(1)
	r.HoldOn()
}

// HoldOn has who lends the region, or has shown it, know that this process goes on with it
// after the row that runs: it is not used again for another.
func (r *Region) HoldOn() {
	if r.lent.Load() == 0 && !r.came.Load() {
		return
	}
	holding.Lock()
	defer holding.Unlock()
	if r.held.Swap(true) {
		return
	}
	r.away.Store(true)
	if holding.hold != nil && r.came.Load() {
		holding.hold(r.id)
	}
}

// unhold takes HoldOn back where the reference of who has shown the region is the last:
// what is kept for it there, to free its locks when this process dies, is given up.
func (r *Region) unhold() {
	holding.Lock()
	defer holding.Unlock()
	if r.refs.Load() != 1 || !r.came.Load() || !r.held.Swap(false) { // who adds one now says that it holds on
		return
	}
	if holding.unhold != nil {
		holding.unhold(r.id)
	}
}
