package mpi

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/sys"
)

// world is one rank's end of all that Spawn's ranks say to each other.
//
// Under mu are the operations that have not ended, and what has come that nobody asked for yet. It has no goroutine: of those that
// wait one at a time leads, that is takes letters from the rings and puts letters into them, for all; it spins, then sleeps on the rank's gate.
// Whoever begins an operation does what can be done at once; what cannot, the leader does.
type world struct {
	rank, size int
	mesh       *ring.Mesh
	out        []*ring.LetterWriter // by rank; nil: its own
	in         []*ring.LetterReader
	board      board
	limits     limits
	spin       spin

	mu      sync.Mutex
	leading bool
	moving  bool      // the leader is in progress
	leader  waiter    // who leads, and how he waits
	waiters []*waiter // that wait for their turn, or their end
	asking  int       // goroutines in wait that ask their contexts, see ask
	all     *group    // of all ranks; guarded by own
	err     error     // why nothing can be said any more
	ended   uint64
	ends    []end // of all, as they were before what they had sent was taken
	failed  bool  // one of them at least has failed or died

	posted  []*op            // receives that nothing has come for, in order
	early   unasked          // what nobody has asked for
	outgo   []outgo          // by rank
	streams []map[uint32]*op // by rank: receives whose messages come in pieces, by the sender's number
	numbers uint32

	pending atomic.Int32 // of outgo, how many have something
	again   atomic.Bool  // look who has ended once more
}

// limits are the sizes by which messages go.
type limits struct {
	eager, piece int // bytes: the largest message that goes at once, and the largest piece of a larger one
	message      int // the largest there is
	held         int // that may have come and not been asked for
}

// spin is how a leader looks before it sleeps.
type spin struct {
	looks time.Duration // for how long
	yield bool          // the CPU is somebody else's too
}

func newWorld(mesh *ring.Mesh, rank, size int, b board, l limits, cpus int) *world {
	w := &world{
		rank: rank, size: size, mesh: mesh, board: b, limits: l,
		out: make([]*ring.LetterWriter, size), in: make([]*ring.LetterReader, size), outgo: make([]outgo, size), ends: make([]end, size), streams: make([]map[uint32]*op, size),
		spin: spin{looks: spinAlone},
	}
	if size > cpus {
		w.spin = spin{looks: spinShared, yield: true}
	}
	for r := range size {
		if r != rank {
			w.out[r], w.in[r] = mesh.Writer(rank, r), mesh.Reader(r, rank)
			w.limits.piece = min(w.limits.piece, w.out[r].Most())
		}
		w.streams[r] = map[uint32]*op{}
	}
	w.limits.eager = min(w.limits.eager, w.limits.piece)
	return w
}

const (
	spinAlone  = 100 * time.Microsecond // waking a process that sleeps on another CPU takes about as long
	spinShared = 20 * time.Microsecond
	spinCheck  = 64 // looks between two looks at the clock
	leadTurns  = 64 // times that something was moved between two looks at the context
	nap        = 50 * time.Millisecond

	longestPause = 2 * time.Second
)

// sink is where a message goes.
type sink interface {
	// begin is told of a message's type and size, before its bytes come.
	begin(hash uint32, size int) error
	// write takes the bytes from off on, in order; b may change meanwhile, each byte is read once.
	write(off int, b []byte)
	// end is called after the last byte.
	end() error
}

// op is an operation that has not ended: a send, a receive, a probe.
type op struct {
	g    *group
	what operation
	peer int // in the world; AnySource
	comm uint32
	tag  int

	sink  sink // of a receive
	body  []byte
	unit  int // pieces of body are multiples of it, 0: it does not matter
	hash  uint32
	probe bool

	number   uint32 // of a message in pieces
	size, at int
	matched  bool // a receive that a message was found for
	dropped  bool // its caller has left: what comes is thrown away

	done   bool
	err    error
	source int
	got    int32 // the tag
}

// waiter is who waits while another leads. turn is told that the operation is done, or that it is to lead.
type waiter struct {
	o      *op
	bounds <-chan struct{} // what may end the wait besides: its context's Done
	turn   chan struct{}
}

func (v *waiter) tell() {
	select {
	case v.turn <- struct{}{}:
	default:
	}
}

// finish ends an operation. mu is held.
func (w *world) finish(o *op, err error) {
	if o.done {
		return
	}
	o.done, o.err = true, err
	w.told(o)
}

// told tells those who wait for an operation that it has ended. mu is held.
func (w *world) told(o *op) {
	for _, v := range w.waiters {
		if v.o == o {
			v.tell()
		}
	}
	if w.leading && w.leader.o == o && !w.moving {
		w.again.Store(true) // the leader looks and sleeps, somebody else has ended it
		w.mesh.Poke(w.rank)
	}
}

// await is wait for an operation that has begun.
func (w *world) await(ctx context.Context, o *op, leaves bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wait(ctx, o, leaves)
}

// wait waits until an operation has ended, or ctx has, which gives its cause; leaves says that the operation then ends too. Any number may wait for
// one. mu is held, and is when it returns, or a method of ctx panics; these may be the user's, and run without it.
func (w *world) wait(ctx context.Context, o *op, leaves bool) error {
	if o.done {
		return o.err
	}
	var me *waiter
	normal := false
	defer func() {
		if !normal {
			w.stepBack(me)
			if leaves {
				_ = w.leave(o, errForsaken)
			}
		}
	}()
	for cut := false; !o.done && !cut; {
		switch {
		case !w.leading:
			cut = w.lead(ctx, o)
		case me == nil:
			me = &waiter{o, w.boundsOf(ctx), make(chan struct{}, 1)}
			w.waiters = append(w.waiters, me)
		default:
			cut = w.follow(me)
		}
	}
	w.stepBack(me)
	err := o.err
	if !o.done {
		if err = w.causeOf(ctx); o.done { // meanwhile
			err = o.err
		} else if leaves {
			err = w.leave(o, err)
		}
	}
	normal = true
	return err
}

// errForsaken ends an operation whose caller's context panicked, which others may wait for.
var errForsaken = errors.New("a method of its context panicked, or ended the goroutine")

// boundsOf is ctx.Done, and causeOf its cause: mu is held, but not meanwhile.
func (w *world) boundsOf(ctx context.Context) <-chan struct{} {
	defer w.ask()()
	return ctx.Done()
}

func (w *world) causeOf(ctx context.Context) error {
	defer w.ask()()
	return context.Cause(ctx)
}

// ask lets go of mu until answered is called: meanwhile a goroutine that is in wait is neither the leader nor among the waiters, and may go on.
func (w *world) ask() (answered func()) {
	w.asking++
	w.mu.Unlock()
	return func() {
		w.mu.Lock()
		w.asking--
	}
}

// follow waits until a waiter is told something; cut: its context has ended. mu is held, but not meanwhile.
func (w *world) follow(me *waiter) (cut bool) {
	w.mu.Unlock()
	defer w.mu.Lock()
	select {
	case <-me.turn:
		return false
	case <-me.bounds:
		return true
	}
}

// stepBack has a waiter, if there is one, wait no longer, and another lead if nobody does. mu is held.
func (w *world) stepBack(me *waiter) {
	if me != nil {
		w.waiters = slices.DeleteFunc(w.waiters, func(v *waiter) bool { return v == me })
	}
	if !w.leading {
		w.passOn()
	}
}

// passOn has the next that waits lead. mu is held.
func (w *world) passOn() {
	for _, v := range w.waiters {
		if !v.o.done {
			v.tell()
			return
		}
	}
}

// lead moves letters until o has ended; cut: ctx has. mu is held, but not while it looks and sleeps.
func (w *world) lead(ctx context.Context, o *op) (cut bool) {
	w.leading, w.leader = true, waiter{o: o}
	defer func() { w.leading, w.leader = false, waiter{} }()
	for turn := 1; !cut; turn++ {
		moved := w.progress()
		if o.done {
			return false
		}
		if !moved || turn%leadTurns == 0 {
			cut = w.pause(ctx, !moved)
		}
	}
	return cut
}

// pause sees whether ctx has ended; if not, and idle, it looks and sleeps until there is something to move. mu is held, but not meanwhile.
func (w *world) pause(ctx context.Context, idle bool) (cut bool) {
	w.mu.Unlock()
	defer w.mu.Lock()
	if ctx.Err() != nil {
		return true
	}
	if idle && !w.look() {
		w.sleep(ctx)
	}
	return false
}

// look spins until there is something for progress to do. Only the leader calls it, without mu.
func (w *world) look() bool {
	var begin time.Time
	for i := 0; ; i++ {
		for range spinCheck {
			if w.ready() {
				return true
			}
		}
		switch {
		case i == 0:
			begin = time.Now()
		case time.Since(begin) > w.spin.looks:
			return false
		case w.spin.yield:
			sys.Yield()
			runtime.Gosched()
		case i%16 == 0:
			runtime.Gosched() // another goroutine may have something to say
		}
	}
}

// ready reports whether progress has something to do.
func (w *world) ready() bool {
	for _, r := range w.in {
		if r != nil && r.Ready() {
			return true
		}
	}
	if w.pending.Load() > 0 {
		for to, o := range w.out {
			if o != nil && w.outgo[to].waits.Load() && o.Room() {
				return true
			}
		}
	}
	return w.board.changed(w.ended) || w.again.Load()
}

// sleep sleeps until somebody has put a letter or read one that room was wanted for, or ctx has ended. Who has slept for a while
// says what it waits for.
func (w *world) sleep(ctx context.Context) {
	bounds := ctx.Done()
	if bounds != nil {
		defer context.AfterFunc(ctx, func() { w.mesh.Poke(w.rank) })()
	}
	told, next := false, time.Now().Add(nap)
	defer func() {
		if told {
			w.untell()
		}
	}()
	pause := nap
	for {
		over := false
		w.mesh.Nap(w.rank, nap, func() bool {
			over = w.ready() || ctx.Err() != nil
			return over
		})
		if over || w.ready() || ctx.Err() != nil {
			break
		}
		if now := time.Now(); !told && now.After(next) {
			told = w.tell(bounds)
			pause = min(2*pause, longestPause) // to look at all goroutines stops them
			next = now.Add(pause)
		}
	}
}
