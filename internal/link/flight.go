package link

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/xenonmp/xme/internal/region"
	"github.com/xenonmp/xme/internal/wire"
)

// State is where a row is.
type State uint8

// The states of a row. Only [Row] methods and [Flight] change them.
const (
	Queued  State = iota // in the driver
	Sent                 // on a link, not begun; can be taken back
	Started              // running
	Ended
)

// Row is one call on its way through the driver.
type Row struct {
	// What every row on its way changes comes first, together.

	Seq uint64

	// Next and Prev link the row into a queue of the driver's. Where is that queue.
	Next, Prev *Row
	Where      any

	Body   []byte
	Owner  Owner
	Quick  QuickOwner // who is told of a result at once; nil: the Owner is, in time
	flight *Flight
	call   uint64

	// Cancelled is why the row shall end early; nil: it shall not.
	Cancelled error

	// Charge is what the row was reckoned to take when it was sent, ns.
	Charge uint32

	Func     uint16
	state    State
	recalled bool

	Quiet   bool // its worker sends no start frame
	Alone   bool // travels alone: nothing is sent ahead of it or behind it
	Fresh   bool // wants a process that ran nothing before, and is its last
	Service bool // wants a process of its own, beside the pool's count
	Keep    bool // body and parcel are kept until it has ended: it may run again
	Charged bool // its regions are counted
	Bulk    bool // one of many: its end may wait a little for that of others

	// Astray says that a link that is gone had it: inside one process, the worker that
	// was given up may still read the body.
	Astray bool

	Pack        *Pack // what r is a piece of; nil: r is a row of its own
	first, many int   // the rows of a piece

	Segment *Segment // what Body lies in; nil: in memory of this process
	Parcel  *wire.Parcel
	Regions region.Set // shared memory that Body names
	On      []int      // the ranks it may run on; nil: any

	// Nest tells where a call that a task made comes from; nil: from the driver.
	Nest *Nest

	// Timeout bounds how long it runs, from its start; 0: no bound.
	Timeout time.Duration

	// Memory bounds what the process that runs it may use, in bytes; 0: no bound.
	Memory int64

	// Unbegun is why it shall end early if it has not begun; nil: it shall not.
	Unbegun error

	// Late is why it shall end early once it has begun; nil: it shall not.
	Late error

	// Lost counts the workers that died when it was next to begin, Kills those that
	// died while it ran.
	Lost, Kills int

	// Tireless says that it is not set aside, however many workers die while it runs.
	Tireless bool
}

// Nest is the place of a row that a running row made.
type Nest struct {
	Parent *Row   // has begun, and ends after the row
	Call   uint64 // the call's number in the parent's process
	Depth  int    // 1: called by a row that the driver made
}

// Owner is told how a row ended.
type Owner interface {
	// End is called, without locks, each time a row that was accepted has ended. The
	// body is valid until End returns; the parcel becomes the owner's. If it returns
	// true the row runs once more, otherwise that was its end: from then on the row's
	// Body and Parcel are its owner's, which may submit it again, as another row.
	// again says whether it can run once more; if it cannot, End finds the row's Body
	// and Parcel gone.
	End(o Outcome, again bool) bool
}

// QuickOwner can take a result where it lies, in an Owner's place.
type QuickOwner interface {
	// EndAtOnce is called instead of End for a row that has ended with a result, with the
	// pool's lock held: it must not block or call the pool. The body is valid until it
	// returns, and may change meanwhile: each byte may be looked at once.
	EndAtOnce(body []byte)
}

// Outcome is how a row ended.
type Outcome struct {
	Body   []byte
	Parcel *wire.Parcel
	Err    error // nil: Body is the result
	Rank   int
	PID    int
	Shared bool // the worker may still write to Body

	Regions *region.Set // what the row held; released once its owner's End has returned. nil: nothing

	Cancelled error // why the row was told to end early; nil: it was not
}

// Drop frees what a row holds that nobody takes over.
func (r *Row) Drop() {
	r.Parcel.Close()
	r.Segment.Free()
	r.Regions.Release()
	r.Parcel, r.Body, r.Segment = nil, nil, nil
}

// State returns where r is. The caller holds the lock that guards r's flight.
func (r *Row) State() State { return r.state }

// Flight returns the flight r is on, nil when it is on none.
func (r *Row) Flight() *Flight { return r.flight }

// Files returns how many open files travel with r.
func (r *Row) Files() int {
	if r.Parcel == nil {
		return 0
	}
	return len(r.Parcel.Items)
}

// Inline returns how many bytes r, or each row of a piece, takes in a lane.
func (r *Row) Inline() int {
	switch {
	case r.Pack != nil:
		return r.Pack.Size
	case r.Segment != nil:
		return 16
	}
	return len(r.Body)
}

// CalledBack reports whether r was recalled or cancelled on its link.
func (r *Row) CalledBack() bool { return r.recalled }

// Begun counts the rows without start frames that are known to have begun, by the number
// of the last that did.
func (f *Flight) Begun(last uint64) (n int) {
	for _, r := range f.rows {
		if r != nil && r.Quiet && r.call <= last {
			n++
		}
	}
	return n
}

// Call returns r's number on its link.
func (r *Row) Call() uint64 { return r.call }

// Flight is the driver's record of the rows on one link, in the order they were
// sent, which is the order they run in. It has no lock: the caller's guards it.
type Flight struct {
	rows  []*Row // a queue; the first is the front
	space []*Row // rows, with the room before it
	first uint64 // call number of rows[0]; rows that were taken back leave nil
	live  int    // rows that are not nil
	bytes int
	files int

	// Tag is the caller's: what this flight belongs to.
	Tag any
}

// Len returns how many rows are on the link, the running one included.
func (f *Flight) Len() int { return f.live }

// Files returns how many open files travel with those that have not begun.
func (f *Flight) Files() int { return f.files }

// Bytes returns the size of their arguments.
func (f *Flight) Bytes() int { return f.bytes }

// Front returns the row that runs or runs next, nil if there is none. It is a row of its own from now on.
func (f *Flight) Front() *Row {
	if len(f.rows) == 0 {
		return nil
	}
	return f.single(0)
}

// FrontFunc returns the function of the front.
func (f *Flight) FrontFunc() (fn uint16, ok bool) {
	if len(f.rows) == 0 {
		return 0, false
	}
	return f.rows[0].Func, true
}

// Waiting yields the rows that have not begun and have not been called back, in
// order, each a row of its own.
func (f *Flight) Waiting() iter.Seq[*Row] {
	f.singles()
	return func(yield func(*Row) bool) {
		for _, r := range f.rows {
			if r != nil && r.state == Sent && !r.recalled && !yield(r) {
				return
			}
		}
	}
}

// Unbegun yields the rows that have not begun, in order, each a row of its own; Requeue
// may be called on them meanwhile.
func (f *Flight) Unbegun() iter.Seq[*Row] {
	f.singles()
	return func(yield func(*Row) bool) {
		for _, r := range slices.Clone(f.rows) {
			if r != nil && r.state == Sent && !yield(r) {
				return
			}
		}
	}
}

// Requeue takes a row that has not begun off a link that is gone.
func (f *Flight) Requeue(r *Row) {
	if r.state != Sent || r.flight != f {
		panic(fmt.Sprintf("link: row in state %d queued again", r.state))
	}
	r.Astray = true
	f.move(r, Queued)
}

// Send moves r from the queue to the link and returns the frame to send, without
// a parcel: the row keeps its own until it has begun.
func (f *Flight) Send(r *Row) Frame {
	f.Put(r)
	return Frame{Kind: wire.KindCall, Func: r.Func, Call: r.call, Body: r.Body}
}

// Put is Send for a row that travels in a lane: its call's number is r.Call then.
func (f *Flight) Put(r *Row) {
	if r.state != Queued {
		panic(fmt.Sprintf("link: row in state %d sent", r.state))
	}
	if len(f.rows) == 0 && f.first == 0 {
		f.first = 1
	}
	f.move(r, Sent)
}

// Recall marks r as called back and returns the frame to send; false if it has
// begun or was called back before.
func (f *Flight) Recall(r *Row, kind wire.Kind) (Frame, bool) {
	if r.state == Queued || r.state == Ended || r.recalled && kind == wire.KindRecall {
		return Frame{}, false
	}
	r.recalled = true
	return Frame{Kind: kind, Call: r.call}, true
}

// Event applies a worker's frame about one call and returns the call's row. An
// event that does not fit the row's state is an error: the link is broken.
func (f *Flight) Event(fr Frame) (*Row, error) {
	i := fr.Call - f.first
	if fr.Call < f.first || i >= uint64(len(f.rows)) || f.rows[i] == nil {
		return nil, fmt.Errorf("%v frame for call %d, which is not in flight", fr.Kind, fr.Call)
	}
	r := f.single(int(i))
	var to State
	switch fr.Kind {
	case wire.KindStart:
		to = Started
	case wire.KindRecalled:
		to = Queued
	case wire.KindResult, wire.KindFail:
		to = Ended
	default:
		return nil, fmt.Errorf("unexpected %v frame for call %d", fr.Kind, fr.Call)
	}
	if r.Quiet && r.state == Started && to == Started {
		return r, nil // the word has said so before
	}
	if r.Quiet && r.state == Sent && to == Ended && r == f.Front() {
		f.move(r, Started) // nobody had to know yet
	}
	legal := r.state == Sent && to == Started && r == f.Front() || r.state == Sent && to == Queued && r.recalled || r.state == Started && to == Ended
	if !legal {
		return nil, fmt.Errorf("%v frame for call %d out of turn", fr.Kind, fr.Call)
	}
	f.move(r, to)
	return r, nil
}

// Started moves the front, which has been seen to begin, on.
func (f *Flight) Started() {
	if r := f.Front(); r.state == Sent {
		f.move(r, Started)
	}
}

// Answer applies the end of a row that travelled in a lane, where rows begin and end
// in the order they were sent, and returns the row. call is the low half of its
// number. An error means that the link is broken.
func (f *Flight) Answer(call uint32) (*Row, error) {
	r := f.Front()
	if r == nil || uint32(r.call) != call {
		return nil, fmt.Errorf("the end of call %d, which is not the next", call)
	}
	f.move(r, Ended)
	return r, nil
}

// TakeBack moves the last n rows, none of which has begun, back to the queue, and
// appends them to dst in order; those of a pack by the piece.
func (f *Flight) TakeBack(n int, dst []*Row) []*Row {
	first := len(f.rows)
	for k := n; k > 0; {
		first--
		if f.rows[first] != nil {
			k--
		}
	}
	last, number := f.rows[first:], f.first+uint64(first)
	for i := 0; i < len(last); i++ {
		switch r := last[i]; {
		case r == nil:
		case r.Pack != nil:
			n := 1
			for i+n < len(last) && last[i+n] == r {
				n++
			}
			clear(last[i : i+n])
			f.live -= n
			dst = append(dst, r.part(int(number+uint64(i)-r.call), n))
			i += n - 1
		default:
			f.move(r, Queued)
			dst = append(dst, r)
		}
	}
	f.trim()
	return dst
}

// Lose empties the flight of a link that is gone: the row that ran, and the rows
// that had not begun, which are queued again.
func (f *Flight) Lose() (started *Row, waiting []*Row) {
	f.singles()
	for _, r := range f.rows {
		if r == nil {
			continue
		}
		r.Astray = true
		if r.state == Started {
			started = r
			f.move(r, Ended)
		} else {
			waiting = append(waiting, r)
			f.move(r, Queued)
		}
	}
	return started, waiting
}

// NotAgain has a row that is ending early, and may run once more after that, end with err instead of running again.
func (r *Row) NotAgain(err error) {
	if r.Cancelled != nil && r.Unbegun == nil {
		r.Unbegun = err
	}
}

// Again makes a row that has ended and was kept ready to be queued once more.
func (r *Row) Again() {
	if r.state != Ended || !r.Keep {
		panic(fmt.Sprintf("link: row in state %d runs again", r.state))
	}
	r.state = Queued
}

// Renew makes a row that has ended another one, which waits; one that is new stays
// as it is. The caller holds the lock that guards r's flight.
func (r *Row) Renew() {
	if r.state != Ended {
		return
	}
	r.state = Queued
	r.Cancelled, r.Unbegun, r.Late = nil, nil, nil
	r.Lost, r.Kills, r.Astray = 0, 0, false
}

// End ends a row that is in no flight.
func (r *Row) End() {
	if r.state != Queued {
		panic(fmt.Sprintf("link: row in state %d ended outside its flight", r.state))
	}
	r.state = Ended
}

// move is the one place where the state of a row on a link changes.
func (f *Flight) move(r *Row, to State) {
	switch to {
	case Sent:
		r.call = f.first + uint64(len(f.rows))
		r.flight = f
		r.recalled = false
		f.push(r)
		f.live++
		f.bytes += len(r.Body)
		f.files += r.Files()
	case Started:
		f.bytes -= len(r.Body)
		f.files -= r.Files()
		if !r.Keep && r.Segment == nil {
			r.Body = nil // the worker has it all
			r.Parcel.Close()
			r.Parcel = nil
		}
	case Queued, Ended:
		f.rows[r.call-f.first] = nil
		f.live--
		if r.state == Sent {
			f.bytes -= len(r.Body)
			f.files -= r.Files()
		}
		r.flight = nil
		f.trim()
	}
	r.state = to
}

// trim drops the places at the front whose rows are gone.
func (f *Flight) trim() {
	for len(f.rows) > 0 && f.rows[0] == nil {
		f.rows = f.rows[1:]
		f.first++
	}
}

// push appends to rows. Rows leave at the front; the room they leave is used again.
func (f *Flight) push(r *Row) {
	if len(f.rows) == cap(f.rows) {
		if used := len(f.rows); cap(f.space) >= 2*used && cap(f.space) > 0 {
			f.rows = f.space[:copy(f.space[:used], f.rows)]
			clear(f.space[used:])
		} else {
			f.space = make([]*Row, max(16, 2*cap(f.space)))
			f.rows = f.space[:copy(f.space, f.rows)]
		}
	}
	f.rows = append(f.rows, r)
}
