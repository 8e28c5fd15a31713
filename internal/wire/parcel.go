package wire

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/sys"
)

// A Parcel carries what cannot cross as bytes beside an encoded value: open files, and references to shared memory. Append fills it,
// the link moves its items to the other process, Decode empties it. Whoever makes one closes it, whatever happens. The zero value is
// an empty parcel. A nil *Parcel stands for an executor that does not carry such things. One goroutine at a time may use it.
type Parcel struct {
	Items   []Item     // what nobody has taken yet
	Regions region.Set // memory that the value names: held until the parcel is closed

	// Task says that what is decoded belongs to a task, and ends with it.
	Task bool
	// Of is that task; Locals are what the packages of handles keep for it, until it has ended.
	Of     TaskName
	Locals any
	// Most is about how many bytes are worth encoding, 0: as many as a frame holds. What takes more is an error, maybe a little later.
	Most int
	// Result says that what is encoded is a task's result: what it made goes along with it.
	Result bool
	// Over, if not nil, is closed when memory that has not been shown yet will not be any more.
	Over <-chan struct{}

	ahead   pointer      // see New
	aheadOf reflect.Type // what it points at, or the last task's one type
	asked   reflect.Type // this task's first
	several bool         // and it asked for others

	catches bool
	handle  pointer          // see Plan.appendHandle
	lent    []*region.Region // of Regions, those that go by their id alone

	taken []Item   // what Decode has handed out
	held  []Ender  // what ends with the task, or with the encoding of its result
	mark  struct { // how many there were before an Append, or a Decode
		items, regions, taken, held int
	}
}

// TaskName says which task a parcel is of.
type TaskName struct {
	Rank int // of its worker; 0: it runs in the driver
	Func string
	Row  int // -1: it is none of a stream's
}

// An Item is one thing in a parcel.
type Item struct {
	ID   [16]byte // by which the encoded value calls it; random, so that nobody can guess at another value's items
	File *os.File // a duplicate that the parcel owns, see sys.Hold; once taken, usable
}

// An Ender is a value whose use can be ended, in two halves. End is what must come before its task's end is told, and reports whether Leave must follow,
// which gives back what was used.
type Ender interface {
	End() (leaves bool)
	Leave()
}

// maxFiles bounds the open files in one value: the kernel passes at most 253 at a time.
const maxFiles = 250

// errNotCarried is why a handle cannot cross where there is nothing to carry it.
var errNotCarried = fmt.Errorf("this executor does not carry open files: %w", errors.ErrUnsupported)

var parcels = sync.Pool{New: func() any { return new(Parcel) }}

// NewParcel returns an empty parcel, to be given back by Free.
func NewParcel() *Parcel { return parcels.Get().(*Parcel) }

// Free closes a parcel that nobody else has. It may be called on nil.
func (p *Parcel) Free() {
	if p == nil {
		return
	}
	p.Close()
	if len(p.taken) > 0 {
		clear(p.taken)
		p.taken = p.taken[:0]
	}
	if len(p.held) > 0 {
		clear(p.held)
		p.held = p.held[:0]
	}
	p.Task, p.Result, p.Over, p.catches, p.lent = false, false, nil, false, nil
	p.asked, p.several, p.Most = nil, false, 0
	p.Of, p.Locals = TaskName{}, nil
	parcels.Put(p)
}

// Close closes the files that nobody took. It may be called twice, and on nil.
func (p *Parcel) Close() {
	if p == nil {
		return
	}
	p.closeFrom(0)
	p.Regions.Release()
}

func (p *Parcel) closeFrom(n int) {
	if len(p.Items) == n {
		return
	}
	for _, it := range p.Items[n:] {
		if it.File != nil {
			_ = sys.Release(it.File)
		}
	}
	clear(p.Items[n:])
	p.Items = p.Items[:n]
}

// Taken returns the files that Decode has handed out: who runs a task may close them when the task has ended.
func (p *Parcel) Taken() []*os.File {
	if p == nil {
		return nil
	}
	var files []*os.File
	for _, it := range p.taken {
		files = append(files, it.File)
	}
	return files
}

// Empty reports whether nothing travels in the parcel.
func (p *Parcel) Empty() bool { return p == nil || len(p.Items) == 0 && p.Regions.Len() == 0 }

// put adds a file, which the parcel owns from now on, under a new id.
func (p *Parcel) put(f *os.File) (id [16]byte) {
	_, _ = rand.Read(id[:]) // never fails: see its documentation
	id = region.NotRegion(id)
	p.Items = append(p.Items, Item{ID: id, File: f})
	return id
}

// take hands out the item of that id. It stays in the parcel's care until the Decode has succeeded.
func (p *Parcel) take(id [16]byte) (*Item, error) {
	if p == nil {
		return nil, errNotCarried
	}
	for i, it := range p.Items {
		if it.ID == id && it.File != nil {
			p.Items = slices.Delete(p.Items, i, i+1)
			p.taken = append(p.taken, it)
			return &p.taken[len(p.taken)-1], nil
		}
	}
	return nil, fmt.Errorf("the open file %x did not come along: %w", id[:4], errNotCarried)
}

// Put has the value name a region, which the parcel holds. The caller has a reference of its own.
func (p *Parcel) Put(r *region.Region) error {
	if p == nil {
		return errNoRegions
	}
	r.Retain()
	p.Regions.Add(r)
	return nil
}

// Give is Put for who gives a reference of his own away, whatever comes of it.
func (p *Parcel) Give(r *region.Region) error {
	if p == nil {
		r.Release()
		return errNoRegions
	}
	p.Regions.Add(r)
	return nil
}

// Lent says that the task whose result it is was lent r: the other process has it, and holds it until the result is decoded.
func (p *Parcel) Lent(r *region.Region) { p.lent = append(p.lent, r) }

// errNoRegions is why shared memory cannot cross where there is nothing to carry it.
var errNoRegions = fmt.Errorf("this executor does not carry shared memory: %w", errors.ErrUnsupported)

// Region returns the region that the value names, with a reference that is the caller's, and whether its memory is another
// process's to see to for as long as the task runs.
func (p *Parcel) Region(id region.ID) (r *region.Region, lent bool, err error) {
	if p == nil {
		return nil, false, errNoRegions
	}
	for i, it := range p.Items {
		if it.ID == id && it.File != nil {
			p.Items = slices.Delete(p.Items, i, i+1)
			r, err = region.Adopt(id, it.File)
			return r, false, err
		}
	}
	if r = region.Find(id); r == nil && p.Over != nil {
		r = region.Await(id, p.Over)
	}
	if r == nil {
		return nil, false, region.ErrGone
	}
	return r, p.Task, nil
}

// RegionIn is Region for the id that src begins with, as region.ID.Append has written it. It returns what was written with it, and what is behind it.
func (p *Parcel) RegionIn(src []byte) (r *region.Region, lent bool, bits byte, rest []byte, err error) {
	if p != nil && len(p.Items) == 0 {
		if r, bits, rest = region.FindEncoded(src); r != nil {
			return r, p.Task, bits, rest, nil
		}
	}
	id, bits, rest, ok := region.ParseID(src)
	if !ok {
		return nil, false, 0, nil, region.ErrMalformed
	}
	r, lent, err = p.Region(id)
	return r, lent, bits, rest, err
}

// Hold has e ended with the task whose arguments are decoded, with the encoding of the result, or if either fails.
func (p *Parcel) Hold(e Ender) { p.held = append(p.held, e) }

// CatchFaults has a fault on this goroutine, which decodes arguments and then runs the task, be a panic from now on, so that a
// write to memory that is read-only ends the task and not its process; or no more.
func (p *Parcel) CatchFaults(on bool) {
	if p.Task && p.catches != on {
		p.catches = on
		debug.SetPanicOnFault(on)
	}
}

// EndHeld ends what is held.
func (p *Parcel) EndHeld() {
	if p != nil {
		p.endFrom(0)
	}
}

// EndFirst is the first half of EndHeld: LeaveHeld, which alone may follow, and must, is the other. Between them it can be told that the task is over.
func (p *Parcel) EndFirst() { endAll(p.held) }

// LeaveHeld has what was ended give back what it used.
func (p *Parcel) LeaveHeld() {
	p.leaveFrom(0)
	p.makeAhead()
}

func (p *Parcel) endFrom(n int) {
	endAll(p.held[n:])
	p.leaveFrom(n)
}

// endAll ends all, and keeps in held those that must leave.
func endAll(held []Ender) {
	for i, e := range held {
		if e != nil && !e.End() {
			held[i] = nil
		}
	}
}

func (p *Parcel) leaveFrom(n int) {
	for _, e := range p.held[n:] {
		if e != nil {
			e.Leave()
		}
	}
	clear(p.held[n:])
	p.held = p.held[:n]
}

// Fits says what keeps Pack from having all go along that a parcel holds which nothing was lent to; nil: nothing.
func (p *Parcel) Fits() error {
	all := map[region.ID]bool{}
	for r := range p.Regions.All() {
		all[r.ID()] = true
	}
	if len(p.Items)+len(all) > maxFiles {
		return errTooManyFiles
	}
	return nil
}

var errTooManyFiles = fmt.Errorf("more than %d open files and shared arrays in one value", maxFiles)

// Pack has the descriptors of the regions go along to another process. Of a result it leaves out those that the running row was
// lent: that process has them, and their id is enough.
func (p *Parcel) Pack() error {
	if p == nil || p.Regions.Len() == 0 {
		return nil
	}
	for r := range p.Regions.All() {
		if slices.Contains(p.lent, r) || slices.ContainsFunc(p.Items, func(it Item) bool { return it.ID == r.ID() }) {
			continue
		}
		if len(p.Items) >= maxFiles {
			return errTooManyFiles
		}
		f, err := r.Descriptor()
		if err != nil {
			return err
		}
		p.Items = append(p.Items, Item{ID: r.ID(), File: f})
	}
	p.Regions.Release()
	return nil
}

// Unpack takes the regions out of the items, in the process that they have come to. A parcel that fails is closed.
func (p *Parcel) Unpack() error {
	if p == nil {
		return nil
	}
	for i := 0; i < len(p.Items); i++ {
		it := p.Items[i]
		if !region.Is(it.ID) {
			continue
		}
		p.Items = slices.Delete(p.Items, i, i+1)
		i--
		r, err := region.Adopt(it.ID, it.File)
		if err != nil {
			p.Close()
			return err
		}
		p.Regions.Add(r)
	}
	return nil
}

// beginAppend and endAppend enclose an Append: what a failed one put in is closed again.
func (p *Parcel) beginAppend() {
	if p != nil {
		p.mark.items, p.mark.regions, p.mark.held = len(p.Items), p.Regions.Len(), len(p.held)
	}
}

func (p *Parcel) endAppend(ok bool) {
	if p != nil && !ok {
		p.closeFrom(p.mark.items)
		p.Regions.Truncate(p.mark.regions)
		p.endFrom(p.mark.held) // nobody will get them
	}
}

// beginDecode and endDecode enclose a Decode: what a failed one took goes back.
func (p *Parcel) beginDecode() {
	if p != nil {
		p.mark.taken, p.mark.held = len(p.taken), len(p.held)
	}
}

func (p *Parcel) endDecode(ok bool) {
	switch {
	case p == nil:
	case !ok:
		p.Items = append(p.Items, p.taken[p.mark.taken:]...)
		clear(p.taken[p.mark.taken:])
		p.taken = p.taken[:p.mark.taken]
		p.endFrom(p.mark.held)
	case !p.Task: // it is the caller's, who closes it
		clear(p.held[p.mark.held:])
		p.held = p.held[:p.mark.held]
	}
}
