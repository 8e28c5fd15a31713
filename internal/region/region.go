package region

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/sys"
)

// Region is memory that processes share. All methods may be called concurrently; the
// memory itself is its users' to order.
type Region struct {
	id   ID
	text string      // the id as Append writes it, without bits
	made *sys.Shared // mapped writable, with its descriptor; nil: it came from another process

	refs  atomic.Int32  // once 0 only table's owner makes it 1 again
	lent  atomic.Int32  // of refs, those that Lend counts
	lives atomic.Uint32 // how often the last reference went

	came atomic.Bool // a driver has shown it: it is that one's to use again
	held atomic.Bool // and was told that this process goes on with it
	away atomic.Bool // others may have it whom nobody counts: not used again

	rw, ro atomic.Pointer[mapping] // made on first use
	local  atomic.Pointer[any]     // see Attach

	// The rest is guarded by table.mu.
	file   *os.File // the descriptor, of a region that came
	shown  bool     // some links told workers of it
	charge int      // what the budget was asked for
}

// mapping is where a region lies in this process.
type mapping struct {
	mem   *sys.Shared
	bytes []byte
}

func newMapping(m *sys.Shared) *mapping { return &mapping{m, m.Bytes()} }

// ErrMalformed is of bytes that name no region, or no part of one.
var ErrMalformed = errors.New("malformed reference to shared memory")

// ErrGone says that a region is no more, or never was.
var ErrGone = errors.New("the shared memory is closed, or this process was not given it")

// ErrFull says that there is not as much memory, or not as much was granted.
var ErrFull = errors.New("no room for more shared memory")

// table is what this process has, by id, and what lies unused.
var table = struct {
	mu      sync.Mutex
	regions map[ID]*Region
	arrived chan struct{} // closed with the next region that a driver shows
	mapped  []span        // by address
	free    []*Region     // made here and unused, the longest first
	idle    int           // bytes in free
	used    int           // bytes of regions made here, those in free not counted
	forget  map[int]func(*Region)
	hooks   int
	last    atomic.Pointer[Region] // that was asked for
}{regions: map[ID]*Region{}, arrived: make(chan struct{}), forget: map[int]func(*Region){}}

// idleBytes bounds what is kept for the next regions.
var idleBytes atomic.Int64

func init() { idleBytes.Store(256 << 20) }

// KeepIdle sets how many bytes at most are kept for the next regions.
func KeepIdle(bytes int) { idleBytes.Store(int64(bytes)) }

const (
	// idleRegions bounds how many.
	idleRegions = 64
	// slackBytes is how much larger than asked for, beside a quarter, one may be.
	slackBytes = 64 << 10
)

// New makes a region of at least size bytes with one reference. Its memory is zero if
// clean, else it may hold what was there before. The error wraps ErrFull if there is not as much memory.
func New(size int, k Kind, clean bool) (*Region, error) {
	if size > maxSize {
		return nil, fmt.Errorf("%w: %d bytes are more than the %d that one may have", ErrFull, size, maxSize)
	}
	size = sys.PageRound(max(size, 1))
	charge, err := spend(size)
	if err != nil {
		return nil, err
	}
	if r := reuse(size, charge, k); r != nil {
		if clean {
			clear(r.made.Bytes()[:size])
		}
		return r, nil
	}
	mem, err := allocate(size)
	if err == nil && k == Sealed {
		if err = mem.SealFutureWrite(); err != nil {
			_ = mem.Close()
		}
	}
	if err != nil {
		giveBack(charge)
		return nil, err
	}
	r := named(newID(size, k))
	r.made, r.charge = mem, charge
	r.rw.Store(newMapping(mem))
	r.refs.Store(1)
	table.mu.Lock()
	defer table.mu.Unlock()
	table.used += size
	table.regions[r.id] = r
	addSpan(r, mem, true)
	return r, nil
}

func named(id ID) *Region { return &Region{id: id, text: string(id.Append(nil, 0))} }

// reuse returns a region that lies unused, nil if there is none that fits.
func reuse(size, charge int, k Kind) *Region {
	table.mu.Lock()
	defer table.mu.Unlock()
	best := -1
	for i, r := range table.free {
		if n := r.Size(); n >= size && n <= size+size/4+slackBytes && r.id.Kind() == k && (best < 0 || n < table.free[best].Size()) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	r := table.free[best]
	table.free = slices.Delete(table.free, best, best+1)
	table.idle -= r.Size()
	table.used += r.Size()
	r.charge = charge
	r.refs.Store(1)
	return r
}

// spend asks the budget for bytes, and says for how many: none, if there is no budget yet.
func spend(bytes int) (charge int, err error) {
	f := budget.Load()
	if f == nil {
		return 0, nil
	}
	return bytes, (*f)(bytes)
}

// giveBack gives back what the budget was asked for.
func giveBack(charge int) {
	if f := budget.Load(); f != nil && charge > 0 {
		_ = (*f)(-charge)
	}
}

// allocate takes memory from the system, after what lies unused if need be.
func allocate(size int) (*sys.Shared, error) {
	mem, err := newShared(size)
	if err != nil && Trim() > 0 {
		mem, err = newShared(size)
	}
	if sys.TooManyFiles(err) {
		return nil, fmt.Errorf("each region of shared memory takes a descriptor: raise the limit (ulimit -n), or make one large array and hand over parts of it: %w", err)
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		err = fmt.Errorf("%w: %d bytes: %w", ErrFull, size, err)
	}
	return mem, err
}

// newShared does not wait for the kernel to end processes for want of memory.
func newShared(size int) (*sys.Shared, error) {
	const worthAsking = 1 << 20
	if size >= worthAsking {
		if free, ok := sys.AvailableMemory(); ok && int64(size) > free {
			return nil, fmt.Errorf("%d bytes of memory are available", free)
		}
	}
	return sys.NewShared(size)
}

// ID returns the region's id.
func (r *Region) ID() ID { return r.id }

// AppendID is ID.Append.
func (r *Region) AppendID(dst []byte, bits byte) []byte {
	n := len(dst)
	dst = append(dst, r.text...)
	dst[n] |= bits << markBits
	return dst
}

// Size returns how many bytes the region has.
func (r *Region) Size() int { return r.id.Size() }

// Bytes returns the memory, valid while the caller holds a reference: writable or
// mapped so that a write to it is a fault. It is mapped on first use. A region that is
// sealed is writable to its maker only.
func (r *Region) Bytes(writable bool) ([]byte, error) {
	if mem := r.Mapped(writable); mem != nil {
		return mem, nil
	}
	at := r.mapping(writable)
	table.mu.Lock()
	defer table.mu.Unlock()
	if at.Load() == nil {
		file := r.file
		if r.made != nil {
			file = r.made.File()
		}
		dup, err := sys.Hold(file, file.Name())
		if err != nil {
			return nil, fmt.Errorf("shared memory: %w", err)
		}
		m, err := sys.OpenShared(dup, r.Size(), writable)
		if err != nil {
			return nil, fmt.Errorf("shared memory: %w", err)
		}
		at.Store(newMapping(m))
		addSpan(r, m, writable)
	}
	return at.Load().bytes, nil
}

// Mapped is Bytes where the memory is mapped already, else nil.
func (r *Region) Mapped(writable bool) []byte {
	if m := r.mapping(writable).Load(); m != nil {
		return m.bytes
	}
	return nil
}

func (r *Region) mapping(writable bool) *atomic.Pointer[mapping] {
	if writable {
		return &r.rw
	}
	return &r.ro
}

// Retain adds a reference; the caller has one.
func (r *Region) Retain() { r.refs.Add(1) }

// RetainLive is Retain for who has none; false if nobody has. The region may be another's by now, of the same size and under the same id.
func (r *Region) RetainLive() bool {
	for {
		n := r.refs.Load()
		if n == 0 {
			return false
		}
		if r.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives a reference back. With the last the memory may be another's.
func (r *Region) Release() {
	if n := r.refs.Add(-1); n > 0 {
		if n == 1 && r.id.Kind() == Locks && r.held.Load() && r.came.Load() {
			r.unhold()
		}
		return
	}
	r.lives.Add(1)
	table.mu.Lock()
	var drop []*Region
	charge := r.charge
	local := r.local.Swap(nil)
	if r.made != nil {
		table.used -= r.Size()
		r.charge = 0
	}
	if r.keeps() {
		table.free = append(table.free, r)
		table.idle += r.Size()
		for int64(table.idle) > idleBytes.Load() || len(table.free) > idleRegions {
			drop = append(drop, popFree())
		}
	} else {
		drop = []*Region{r}
		forgetLocked(r)
	}
	table.mu.Unlock()
	giveBack(charge)
	destroy(drop)
	if local != nil {
		detach(*local)
	}
}

// keeps reports whether the memory of a region that nobody holds is used again: it was made here, and others keep nothing that must go first.
func (r *Region) keeps() bool { return r.made != nil && !r.away.Load() && r.id.Kind() != Locks }

// popFree takes the longest unused out of the table. table.mu is held.
func popFree() *Region {
	r := table.free[0]
	table.free = table.free[1:]
	table.idle -= r.Size()
	forgetLocked(r)
	return r
}

// forgetLocked takes a region without references out of the table. table.mu is held.
func forgetLocked(r *Region) {
	if table.regions[r.id] == r { // else it has come again meanwhile
		delete(table.regions, r.id)
	}
	table.last.CompareAndSwap(r, nil)
	dropSpans(r)
}

// destroy frees regions that the table has no more, and tells those who showed them.
func destroy(regions []*Region) {
	for _, r := range regions {
		for _, at := range []*atomic.Pointer[mapping]{&r.ro, &r.rw} {
			if m := at.Swap(nil); m != nil {
				_ = m.mem.Close()
			}
		}
		if r.file != nil {
			_ = sys.Release(r.file)
		}
		if !r.shown {
			continue
		}
		table.mu.Lock()
		hooks := make([]func(*Region), 0, len(table.forget))
		for _, f := range table.forget {
			hooks = append(hooks, f)
		}
		table.mu.Unlock()
		for _, f := range hooks {
			f(r)
		}
	}
}

// Trim frees what lies unused and returns how many bytes that were.
func Trim() int {
	table.mu.Lock()
	n := table.idle
	var drop []*Region
	for len(table.free) > 0 {
		drop = append(drop, popFree())
	}
	table.mu.Unlock()
	destroy(drop)
	return n
}

// Usage says how much memory the regions take that this process has made: those in
// use, and those that lie unused for the next.
func Usage() (used, idle int) {
	table.mu.Lock()
	defer table.mu.Unlock()
	return table.used, table.idle
}

// Descriptor returns the region's descriptor for another process, which from then on
// may have the memory for as long as it likes.
func (r *Region) Descriptor() (*os.File, error) {
	r.away.Store(true)
	table.mu.Lock()
	defer table.mu.Unlock()
	return r.duplicate()
}

// Show is Descriptor for a process that gives the memory up when it is told that the
// region is no more: those who called OnForget are.
func (r *Region) Show() (*os.File, error) {
	table.mu.Lock()
	defer table.mu.Unlock()
	r.shown = true
	return r.duplicate()
}

// duplicate is called with table.mu held.
func (r *Region) duplicate() (*os.File, error) {
	file := r.file
	if r.made != nil {
		file = r.made.File()
	}
	return sys.Hold(file, "xme-shared")
}

// Keep says that another process holds on to the region: it is not used again for
// another.
func (r *Region) Keep() { r.away.Store(true) }

// OnForget has f called with regions that were shown and are no more,
// without locks, until remove is called. With the last that is removed what lies unused
// is freed.
func OnForget(f func(*Region)) (remove func()) {
	table.mu.Lock()
	defer table.mu.Unlock()
	table.hooks++
	n := table.hooks
	table.forget[n] = f
	return func() {
		table.mu.Lock()
		delete(table.forget, n)
		last := len(table.forget) == 0
		table.mu.Unlock()
		if last {
			Trim()
		}
	}
}

// budget is asked before regions are made; nil: nobody is.
var budget atomic.Pointer[func(bytes int) error]

// SetBudget has f asked before this process makes a region, and told, with a negative
// number, that one is no more that it was asked for. f may be called concurrently.
func SetBudget(f func(bytes int) error) { budget.Store(&f) }
