package shm

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/latch"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// A region with a mutex, or another of the types that processes agree by, begins with:
//
//	0    kind
//	8    of a barrier: how many it waits for
//	16   the id of the table of owners, 16 bytes
//	64   length and name, 64 bytes
//	128  the last holder that is no more: its number | whether its process lives << 32; 0: there was none
//	136  who that was, 56 bytes as in the table
//	192  of a barrier: who broke it, as above
//	256  what package ring lays out
const (
	syncHead = 256
	syncName = 64
	syncDead = 128
	syncBy   = 192

	endedBit = 1 << 32
)

// A prim is what those types are: a handle on such a region, and who uses it.
type prim struct {
	core
	l   *syncs
	own *owner
}

// guard is what package ring lays out, and what is common to all of it.
type guard interface {
	SetAlive(alive func(owner uint32) bool)
	// Sweep takes from an owner that is no more what it has.
	Sweep(dead uint32)
	// Has reports whether an owner has anything that Sweep would take, and whether others are told of that.
	Has(owner uint32) (has, told bool)
	// Holders returns who keeps others out.
	Holders() []uint32
	// Since returns since when at least a holder does, the zero time if that is not known.
	Since(holder uint32) time.Time
}

// syncs is what this process has of such a region.
type syncs struct {
	kind  kind
	id    region.ID
	mem   []byte
	guard guard
	turn  latch.Turn // of the goroutines that wait

	table *owners // its region has a reference of this one's

	mu    sync.Mutex
	users map[*owner]int // handles of this process's

	edge atomic.Uint32 // for the race detector, which does not see shared memory
}

// guardKind is a kind of guard.
type guardKind struct {
	name string
	size int // bytes
	open func(mem []byte) guard
}

var guards = map[kind]guardKind{}

func syncsOf(r *region.Region, mem []byte, k kind, table *owners) (*syncs, error) {
	g, ok := guards[k]
	if !ok || kind(word(mem, 0).Load()) != k || len(mem) < syncHead+g.size {
		return nil, region.ErrMalformed
	}
	l := &syncs{kind: k, id: r.ID(), mem: mem, guard: g.open(mem[syncHead:]), turn: latch.NewTurn(), table: table, users: map[*owner]int{}}
	l.guard.SetAlive(table.alive)
	table.region.Retain()
	return l, nil
}

// attachSync returns what this process has of a region. The caller has a reference to the table's region.
func attachSync(r *region.Region, k kind, table *owners) (*syncs, error) {
	v, err := r.Attach(func(mem []byte) (any, error) { return syncsOf(r, mem, k, table) })
	if err != nil {
		return nil, err
	}
	if l, ok := v.(*syncs); ok && l.kind == k {
		return l, nil
	}
	return nil, region.ErrMalformed
}

// Detach implements region.Detacher.
func (l *syncs) Detach() { l.table.region.Release() }

// what names it in texts.
func (l *syncs) what() string {
	name := guards[l.kind].name
	if s := loadText(l.mem[syncName:][:nameSize]); s != "" {
		return fmt.Sprintf("%s %q", name, s)
	}
	return fmt.Sprintf("%s %x", name, l.id[7:11])
}

// open makes p a new one of a kind.
func (p *prim) open(k kind, begin func(mem []byte, g guard)) error {
	table, err := homeOwners()
	if err != nil {
		return err
	}
	defer table.region.Release() // the syncs has one
	if err := open(&p.core, syncHead+guards[k].size, region.Locks); err != nil {
		return err
	}
	mem, err := p.region.Bytes(true)
	if err == nil {
		word(mem, 0).Store(uint64(k))
		for i, w := range idWords(table.region.ID()) {
			word(mem, 16+8*i).Store(w)
		}
		if p.l, err = attachSync(p.region, k, table); err == nil {
			if begin != nil {
				begin(mem, p.l.guard)
			}
			p.own, err = table.ofProcess()
		}
	}
	if err != nil {
		p.region.Release()
		p.region = nil
		return err
	}
	p.join()
	return nil
}

// join counts a handle of its owner's.
func (p *prim) join() {
	p.core.leaves, p.core.stays = p.leave, p.l.table.region.HoldOn
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.l.users[p.own]++
	if b, ok := p.l.guard.(barrierGuard); ok {
		b.Join(p.own.number)
	}
}

// leave takes from a task that has ended, or from this process when its last handle is closed, what it did not give back. Nobody joins meanwhile.
func (p *prim) leave() {
	defer p.own.release()
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	if p.l.users[p.own]--; p.l.users[p.own] > 0 {
		return
	}
	delete(p.l.users, p.own)
	if b, ok := p.l.guard.(barrierGuard); ok {
		b.Leave(p.own.number)
	}
	if has, told := p.l.guard.Has(p.own.number); has {
		if told {
			p.l.record(syncDead, p.own.number, true)
		}
		p.l.guard.Sweep(p.own.number)
	}
}

// sweep takes from an owner whose process is no more what it has.
func (l *syncs) sweep(dead uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, told := l.guard.Has(dead); told {
		l.record(syncDead, dead, false)
	}
	b, ok := l.guard.(barrierGuard)
	if !ok {
		l.guard.Sweep(dead)
	} else if b.Barrier.Sweep(dead) {
		l.record(syncBy, dead, false)
	}
}

// record keeps who an owner was, whose slot may be another's soon, or is already if another process sweeps it too: then that has recorded it. l.mu is held.
func (l *syncs) record(at int, number uint32, ended bool) {
	mark := uint64(number)
	if ended {
		mark |= endedBit
	}
	var who [(slotSeq - slotWho) / 8]uint64
	for i := range who {
		who[i] = word(l.table.slot(number), slotWho+8*i).Load()
	}
	if _, ok := l.table.describe(number); !ok || word(l.mem, at).Load() == mark {
		return
	}
	word(l.mem, at).Store(0)
	for i := range who {
		word(l.mem, at+8+8*i).Store(who[i])
	}
	word(l.mem, at).Store(mark)
}

// recorded says who an owner was: as it was recorded, or as its slot says, unless that is another's.
func (l *syncs) recorded(at int, number uint32) (who Owner, ended bool) {
	if mark := word(l.mem, at).Load(); uint32(mark) == number {
		who = l.table.read(l.mem[at+8:][:slotSeq-slotWho])
		if word(l.mem, at).Load() == mark {
			return who, mark&endedBit != 0
		}
	}
	if who, ok := l.table.describe(number); ok {
		return who, false
	}
	return Owner{}, false
}

// sweeper is what this process has of a region and is told of deaths.
type sweeper interface{ sweepPID(pid uint32) }

func (l *syncs) sweepPID(pid uint32) {
	for _, dead := range l.table.ofPID(pid) {
		l.sweep(dead)
	}
}

// ownerDied is what the next holder is told.
func (l *syncs) ownerDied(number uint32) error {
	who, ended := l.recorded(syncDead, number)
	return &OwnerDiedError{What: l.what(), Owner: who, Ended: ended}
}

// acquired and releases tell the race detector, which does not see shared memory, of the edge from one holder to the next.
func (l *syncs) acquired() {
	if raceBuild {
		l.edge.Add(1)
	}
}

func (l *syncs) releases() { l.acquired() }

// notHeld is what giving back returns to who does not hold it.
func (l *syncs) notHeld(own uint32) error {
	var who []string
	for _, h := range l.guard.Holders() {
		if h == own {
			return fmt.Errorf("shm: %s: %w in this way: RUnlock gives back what RLock took, Unlock what Lock took", l.what(), ErrNotHeld)
		}
		who = append(who, l.table.who(h).String())
	}
	if len(who) == 0 {
		return fmt.Errorf("shm: %s: %w: nobody holds it", l.what(), ErrNotHeld)
	}
	return fmt.Errorf("shm: %s: %w: held by %s", l.what(), ErrNotHeld, strings.Join(who, ", "))
}

// holders says who keeps others out.
func (p *prim) holders() []Holder {
	if p.enter() != nil {
		return nil
	}
	defer p.unuse()
	return p.l.holders()
}

func (l *syncs) holders() (all []Holder) {
	for _, h := range l.guard.Holders() {
		if who, ok := l.table.describe(h); ok {
			all = append(all, Holder{who, l.guard.Since(h)})
		}
	}
	return all
}

// append encodes a handle: the table's id goes before it, and the table along.
func (p *prim) append(dst []byte, parcel *wire.Parcel) ([]byte, error) {
	if err := p.enter(); err != nil {
		return dst, err
	}
	defer p.unuse()
	table := p.l.table.region
	id := table.ID()
	dst, err := p.core.append(append(dst, id[:]...), parcel)
	if err != nil {
		return dst, err
	}
	if parcel.Result && p.lent {
		parcel.Lent(table)
	}
	return dst, parcel.Put(table)
}

// decode makes p, which is zero, a handle that was encoded.
func (p *prim) decode(src []byte, k kind, parcel *wire.Parcel) error {
	var id region.ID
	if len(src) < len(id) {
		return region.ErrMalformed
	}
	copy(id[:], src)
	if err := p.core.decode(src[len(id):], parcel, 1, 1); err != nil {
		return err // from here on the core is the parcel's to end
	}
	if p.readOnly || p.off != 0 || p.size < syncHead {
		return region.ErrMalformed
	}
	mem, err := p.region.Bytes(true)
	if err != nil {
		return err
	}
	if idAt(mem, 16) != id {
		return region.ErrMalformed
	}
	r, _, err := parcel.Region(id)
	if err != nil {
		return err
	}
	defer r.Release() // the syncs has one
	table, err := attachOwners(r)
	if err == nil {
		p.l, err = attachSync(p.region, k, table)
	}
	if err != nil {
		return err
	}
	if !p.lent {
		r.HoldOn()
	}
	if parcel.Task { // also if its memory came along, as with a call of a manager's method
		p.own, err = p.l.table.ofTask(parcel)
	} else {
		p.own, err = p.l.table.ofProcess()
	}
	if err != nil {
		return err
	}
	if p.lent {
		p.l.table.moveIn(parcel.Of.Rank)
	}
	p.join()
	return nil
}

// retainPrim makes d a handle of its own on what p is one on.
func (p *prim) retainPrim(d *prim) error {
	if err := p.enter(); err != nil {
		return err
	}
	defer p.unuse()
	own, err := p.l.table.ofProcess()
	if err != nil {
		return err
	}
	if err := p.retain(&d.core); err != nil {
		own.release()
		return err
	}
	p.l.table.region.HoldOn()
	d.l, d.own = p.l, own
	d.join()
	return nil
}

// SetName gives it a name, of 63 bytes at most, which errors and String show in all processes.
func (p *prim) SetName(name string) {
	if p.enter() == nil {
		storeText(p.l.mem[syncName:][:nameSize], name)
		p.unuse()
	}
}

// String says what it is, by its name if it has one.
func (p *prim) String() string {
	if err := p.enter(); err != nil {
		return "shm: closed"
	}
	defer p.unuse()
	return p.l.what()
}

// Close ends the use of this handle: who waits by it gets ErrClosed. Others go on. With the last handle of a task, and with the last
// of those that this process has outside of tasks, what that holds of it is given up, as if it had died. Closing twice does nothing.
func (p *prim) Close() error { return p.close() }
