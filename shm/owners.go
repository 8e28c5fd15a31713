package shm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// Owners of locks stand in a table that all processes share which share locks: who they are, and what they wait for. A lock's
// word names its holder by slot; the slot tells the rest. Whoever makes the first lock makes the table; its handle goes along
// with the locks'.
//
//	0    kind, a bit that says that its maker is a driver, and the maker's pid above them
//	8    most: one more than the highest slot that was ever taken
//	64   slots, of 192 bytes each
//
// A slot:
//
//	0    pid << 32 | how many owners the slot has had; pid 0: it is free
//	8    pid, rank << 32      who the owner is; stays until the slot is taken again
//	16   row
//	24   length and name of the function, 40 bytes
//	64   seq: odd while the wait below is being written
//	72   the id of what is waited for, 16 bytes; 0: nothing
//	88   how many holders it has, of these up to six by number
//	120  since when
//	128  length and name of what is waited for, 64 bytes
const (
	slotAt   = 64
	slotSize = 192

	slotWho  = 8 // these 56 bytes
	slotFunc = 24
	slotSeq  = 64
	slotWait = 72
	slotName = 128

	nameSize = 64 // with its length
	funcSize = 40

	mostHolders = 6

	driverBit = 1 << 31
)

// owners is this process's view of a table.
type owners struct {
	region *region.Region // without a reference: who uses the table has one
	mem    []byte

	mu      sync.Mutex
	process *owner // for what is in no task; nil: nobody asked
}

// owner is one owner of this process's. It has its slot until the last reference goes.
type owner struct {
	t      *owners
	number uint32
	refs   int // guarded by t.mu

	mu    sync.Mutex
	waits []*wait // what its goroutines wait for, the longest first
}

func ownersOf(mem []byte, r *region.Region) (*owners, error) {
	if len(mem) < slotAt+slotSize*ring.Owners || kind(uint32(word(mem, 0).Load())&^driverBit) != kindOwners {
		return nil, region.ErrMalformed
	}
	return &owners{region: r, mem: mem}, nil
}

// attachOwners returns this process's view of a table, which lasts as long as the caller's reference.
func attachOwners(r *region.Region) (*owners, error) {
	v, err := r.Attach(func(mem []byte) (any, error) { return ownersOf(mem, r) })
	if err != nil {
		return nil, err
	}
	if t, ok := v.(*owners); ok {
		return t, nil
	}
	return nil, region.ErrMalformed
}

// home is the table that this process's next lock uses: its driver's, if it knows that.
var home struct {
	sync.Mutex
	id   region.ID
	rank int // of this process, a worker
}

// homeOwners returns that table, with a reference to its region.
func homeOwners() (*owners, error) {
	home.Lock()
	defer home.Unlock()
	r := region.Find(home.id)
	if r == nil {
		var err error
		if r, err = region.New(slotAt+slotSize*ring.Owners, region.Locks, true); err != nil {
			return nil, memoryError(err)
		}
		mem, err := r.Bytes(true)
		if err != nil {
			r.Release()
			return nil, fmt.Errorf("shm: %w", err)
		}
		head := uint64(me)<<32 | uint64(kindOwners)
		if !proc.IsWorker() {
			head |= driverBit
		}
		word(mem, 0).Store(head)
		home.id = r.ID()
	}
	t, err := attachOwners(r)
	if err != nil {
		r.Release()
	}
	return t, err
}

// moveIn has a worker's next lock use a table that came with a task's argument: its driver's rather than its own.
func (t *owners) moveIn(rank int) {
	if !proc.IsWorker() {
		return
	}
	home.Lock()
	defer home.Unlock()
	if rank > 0 { // else it came with a call of a manager's method, which is no worker's task
		home.rank = rank
	}
	if t.drivers() || home.id == (region.ID{}) {
		home.id = t.region.ID()
	}
}

func (t *owners) drivers() bool { return word(t.mem, 0).Load()&driverBit != 0 }

func (t *owners) maker() uint32 { return uint32(word(t.mem, 0).Load() >> 32) }

func (t *owners) slot(number uint32) []byte {
	at := slotAt + slotSize*ring.OwnerSlot(number)
	return t.mem[at : at+slotSize : at+slotSize]
}

// numberOf is the owner that a slot's first word means.
func numberOf(slot int, state uint64) uint32 { return ring.OwnerNumber(slot, uint32(state)) }

var errManyOwners = fmt.Errorf("shm: more than %d tasks and processes use the locks of one driver at a time: have fewer rows under way", ring.Owners)

// claim makes an owner.
func (t *owners) claim(of wire.TaskName) (*owner, error) {
	for i := range ring.Owners {
		slot := t.mem[slotAt+i*slotSize:][:slotSize:slotSize]
		state := word(slot, 0)
		old := state.Load()
		if old>>32 != 0 {
			continue
		}
		for most := word(t.mem, 8); ; { // first: who dies then is found
			if n := most.Load(); n > uint64(i) || most.CompareAndSwap(n, uint64(i+1)) {
				break
			}
		}
		if !state.CompareAndSwap(old, uint64(me)<<32|uint64(uint32(old+1))) {
			continue
		}
		word(slot, slotWho).Store(uint64(of.Rank)<<32 | uint64(me))
		word(slot, slotWho+8).Store(uint64(of.Row))
		storeText(slot[slotFunc:slotFunc+funcSize], of.Func)
		seq := word(slot, slotSeq)
		seq.Store((seq.Load() | 1) + 1) // its last owner may have died while it wrote
		word(slot, slotWait).Store(0)
		word(slot, slotWait+8).Store(0)
		return &owner{t: t, number: numberOf(i, old+1), refs: 1}, nil
	}
	return nil, errManyOwners
}

// free gives a slot back.
func (t *owners) free(number uint32) {
	state := word(t.slot(number), 0)
	if old := state.Load(); numberOf(ring.OwnerSlot(number), old) == number {
		state.CompareAndSwap(old, uint64(uint32(old)))
	}
}

// withRoom has the owners whose processes have died swept if claim finds no slot, and calls it once more. t.mu is not held.
func (t *owners) withRoom(claim func() (*owner, error)) (*owner, error) {
	o, err := claim()
	if errors.Is(err, errManyOwners) && t.sweepDead() {
		return claim()
	}
	return o, err
}

// ofProcess returns the owner of what this process does in no task, with a reference.
func (t *owners) ofProcess() (*owner, error) { return t.withRoom(t.claimProcess) }

func (t *owners) claimProcess() (*owner, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.process != nil {
		t.process.refs++
		return t.process, nil
	}
	home.Lock()
	rank := home.rank
	home.Unlock()
	o, err := t.claim(wire.TaskName{Row: -1, Rank: rank})
	t.process = o
	return o, err
}

// ofTask returns the owner of a task, with a reference.
func (t *owners) ofTask(p *wire.Parcel) (*owner, error) {
	all, _ := p.Locals.([]*owner)
	for _, o := range all {
		if o.t == t && o.retain() {
			return o, nil
		}
	}
	o, err := t.withRoom(func() (*owner, error) { return t.claim(p.Of) })
	if err == nil {
		p.Locals = append(all, o)
	}
	return o, err
}

// retain adds a reference, unless the last has gone.
func (o *owner) retain() bool {
	o.t.mu.Lock()
	defer o.t.mu.Unlock()
	if o.refs == 0 {
		return false
	}
	o.refs++
	return true
}

// release gives a reference back, and with the last the slot.
func (o *owner) release() {
	o.t.mu.Lock()
	defer o.t.mu.Unlock()
	if o.refs--; o.refs > 0 {
		return
	}
	if o.t.process == o {
		o.t.process = nil
	}
	o.t.free(o.number)
}

// alive reports whether an owner is there still.
func (t *owners) alive(number uint32) bool {
	state := word(t.slot(number), 0).Load()
	pid := uint32(state >> 32)
	return pid != 0 && numberOf(ring.OwnerSlot(number), state) == number && (pid == me || sys.Alive(int(pid)))
}

// describe says who an owner is, or was: its slot tells until it is taken again.
func (t *owners) describe(number uint32) (Owner, bool) {
	if number == 0 {
		return Owner{}, false
	}
	slot := t.slot(number)
	o := t.read(slot[slotWho:slotSeq])
	return o, numberOf(ring.OwnerSlot(number), word(slot, 0).Load()) == number
}

// read decodes who an owner is.
func (t *owners) read(who []byte) Owner {
	at := word(who, 0).Load()
	o := Owner{PID: int(uint32(at)), Rank: int(at >> 32), Row: int(word(who, 8).Load()), Func: loadText(who[16 : 16+funcSize])}
	o.Driver = uint32(at) == t.maker() && t.drivers()
	return o
}

// all yields the owners, and the processes that they are in.
func (t *owners) all() iter.Seq2[uint32, uint32] {
	return func(yield func(number, pid uint32) bool) {
		for i := range min(word(t.mem, 8).Load(), ring.Owners) {
			state := word(t.mem, slotAt+int(i)*slotSize).Load()
			if pid := uint32(state >> 32); pid != 0 && !yield(numberOf(int(i), state), pid) {
				return
			}
		}
	}
}

// ofPID returns the owners of a process.
func (t *owners) ofPID(pid uint32) (list []uint32) {
	for number, p := range t.all() {
		if p == pid {
			list = append(list, number)
		}
	}
	return list
}

// dead returns the owners whose processes are no more.
func (t *owners) dead() (list []uint32) {
	lives := map[uint32]bool{me: true}
	for number, pid := range t.all() {
		if _, asked := lives[pid]; !asked {
			lives[pid] = alive(pid)
		}
		if !lives[pid] {
			list = append(list, number)
		}
	}
	return list
}

// storeText writes a text, cut to what there is room for, word by word: others may read it meanwhile.
func storeText(to []byte, s string) {
	buf := make([]byte, len(to))
	buf[0] = byte(copy(buf[1:], s))
	for i := 0; i < len(to); i += 8 {
		word(to, i).Store(binary.NativeEndian.Uint64(buf[i:]))
	}
}

func loadText(from []byte) string {
	buf := make([]byte, len(from))
	for i := 0; i < len(from); i += 8 {
		binary.NativeEndian.PutUint64(buf[i:], word(from, i).Load())
	}
	return strings.ToValidUTF8(string(buf[1:][:min(int(buf[0]), len(buf)-1)]), "…") // it may have been cut
}

// idAt is an id in a region's memory.
func idAt(mem []byte, off int) (id region.ID) {
	for i := range 2 {
		binary.NativeEndian.PutUint64(id[8*i:], word(mem, off+8*i).Load())
	}
	return id
}

// idWords are the two halves of an id.
func idWords(id region.ID) (w [2]uint64) {
	for i := range w {
		w[i] = binary.NativeEndian.Uint64(id[8*i:])
	}
	return w
}
