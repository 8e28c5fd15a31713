package mpi

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/park"
	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/ring"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/shm"
)

// mostRanks is how many ranks Spawn starts at most: each pair has a ring.
const mostRanks = 256

// Spawn starts Size processes, at most 256, runs f in each with the same argument, and returns what
// each rank returned, in rank order, once all have ended. In f, From returns the communicator of
// all ranks.
//
// A rank that dies, or whose function fails, is not replaced: in every communicator that it belongs
// to, what the others wait for, and what they begin, ends with a *RankError that names it; they are
// then expected to return. Results of ranks that failed are zero values without meaning, and the
// error says how many failed and why the first did, from which the other failures followed. When
// ctx ends, so do the contexts of all ranks. Nothing is left of the processes when Spawn has
// returned.
//
// If every rank waits for others, and no message is on its way, that is a deadlock: all who wait
// get an error that wraps ErrDeadlock and says who waits for whom. A rank counts as waiting if all
// goroutines that its function has started wait in functions of this package, with the context that
// the function was given or one that does not end. (Work without a goroutine is not seen: if a rank
// is to be resumed by time.AfterFunc, it must keep a goroutine for that.)
//
// f's options Timeout and Memory apply to each rank; others are refused.
func Spawn[In, Out any](ctx context.Context, o Options, f *xme.Func[In, Out], in In) ([]Out, error) {
	check(ctx, "Spawn")
	if err := o.check("Spawn"); err != nil {
		return nil, err
	}
	if f == nil {
		return nil, errors.New("mpi: Spawn: the function is nil")
	}
	if o.Pool.Queue != 0 {
		return nil, fmt.Errorf("mpi: Spawn: Pool.Queue is %d: leave it 0, there is one call for each rank", o.Pool.Queue)
	}
	if o.Pool.Recycle != 0 {
		return nil, fmt.Errorf("mpi: Spawn: Pool.Recycle is %d: a rank is one process from begin to end", o.Pool.Recycle)
	}
	o.Size = o.size(mostRanks)
	if o.Size > mostRanks {
		return nil, fmt.Errorf("mpi: Spawn: Size %d: at most %d ranks talk to each other", o.Size, mostRanks)
	}
	p, err := start(ctx, o)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if _, err := f.Go(ctx, &refusing{}, in).Wait(ctx); !is(err, errFine) {
		return nil, fmt.Errorf("mpi: Spawn: %w", err)
	}
	futures := make([]*xme.Future[Out], o.Size)
	for r := range futures {
		futures[r] = f.With(xme.On(r+1)).Go(ctx, p.pool, in)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for rank := <-p.gone; rank >= 0; rank = <-p.gone {
			p.tell(rank, endLeft, "its process is gone")
		}
	}()
	outs, errs := make([]Out, o.Size), make([]error, o.Size)
	var order order
	var all sync.WaitGroup
	for r, future := range futures {
		all.Go(func() {
			outs[r], errs[r] = future.Wait(context.Background())
			order.add(r, errs[r]) // before others can follow
			p.ended(r, errs[r])
		})
	}
	over, watching := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watching)
		watch(p.ground, over)
	}()
	all.Wait()
	close(over)
	<-watching
	p.gone <- -1
	<-gone
	err = order.err(errs)
	if cause := context.Cause(ctx); err != nil && cause != nil && !is(err, cause) {
		err = fmt.Errorf("%w: %w", err, cause) // the first may be a rank that was told what another gave up
	}
	return outs, err
}

// refusing is an executor that runs nothing, and refuses the options that a rank's call cannot have.
type refusing struct{}

var errFine = errors.New("it may be run")

// Submit implements [xme.Executor].
func (*refusing) Submit(_ context.Context, calls []*xme.Call) (int, error) {
	for _, c := range calls {
		o, err := c.Options(), errFine
		for _, refused := range []struct {
			name string
			is   bool
		}{{"On", len(o.On) > 0}, {"Fresh", o.Fresh}, {"Service", o.Service}, {"Retries", o.Retries > 0}} {
			if refused.is {
				err = fmt.Errorf("the option %s of the function: each rank runs it once, in its own process: %w", refused.name, errors.ErrUnsupported)
			}
		}
		c.Finish(nil, err)
	}
	return len(calls), nil
}

// order keeps which rank failed of itself first.
type order struct {
	sync.Mutex
	first, follower int // ranks, from 1; 0: none
	failed          int
}

func (o *order) add(rank int, err error) {
	if err == nil {
		return
	}
	o.Lock()
	defer o.Unlock()
	o.failed++
	switch {
	case !is(err, ErrRankEnded) && o.first == 0:
		o.first = rank + 1
	case o.follower == 0:
		o.follower = rank + 1
	}
}

// err is Spawn's error.
func (o *order) err(errs []error) error {
	rank := o.first
	if rank == 0 {
		rank = o.follower
	}
	if rank == 0 {
		return nil
	}
	return fmt.Errorf("mpi: %d of %d ranks failed, first rank %d: %w", o.failed, len(errs), rank-1, errs[rank-1])
}

// program is what Spawn has started.
type program struct {
	pool *xme.Pool
	ground

	gone chan int // ranks whose processes are gone; -1: nobody listens any more

	mu      sync.Mutex
	ends    []uint64 // by rank: how it has ended, 0: it has not
	retired []bool   // its process is gone
}

// tell tells the ranks how one of them has ended. The end of a process counts as such (endLeft) if its function had returned.
func (p *program) tell(rank int, why uint64, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if why == endLeft {
		p.retired[rank] = true
		if p.ends[rank] != endReturned {
			return
		}
	}
	p.ends[rank] = why
	p.end(rank, why, text)
	if why == endReturned && p.retired[rank] {
		p.ends[rank] = endLeft
		p.end(rank, endLeft, "its process is gone")
	}
}

// Sizes of rings. Together they take at most about areaBudget, as long as each has areaLeast.
const (
	areaBudget = 16 << 20
	areaMost   = 256 << 10
	areaLeast  = 4 << 10
	eagerMost  = 8 << 10
	heldMost   = 1 << 30
)

// area is how many bytes the ring of each pair has.
func area(size int) int {
	return max(areaLeast, min(areaMost, areaBudget/(size*size))) &^ 63
}

// start opens the pool, and has each worker join.
func start(ctx context.Context, o Options) (*program, error) {
	o.Pool.Workers = o.Size
	if o.Pool.Spares == 0 {
		o.Pool.Spares = -1 // nobody takes the place of a dead rank
	}
	gone := make(chan int, o.Size+1)
	pool, err := xme.Open(proc.WithoutReplacement(ctx, func(rank int) { gone <- rank - 1 }), o.Pool)
	if err != nil {
		return nil, fmt.Errorf("mpi: Spawn: %w", err)
	}
	p := &program{pool: pool, gone: gone, ends: make([]uint64, o.Size), retired: make([]bool, o.Size)}
	in := joining{Size: o.Size, Area: area(o.Size), Message: o.Pool.MaxMessage}
	if in.Message == 0 {
		in.Message = 1 << 30
	}
	if sys.HasLanes && o.Pool.Link != xme.LinkPipe {
		s, err := newShared(&in)
		if err != nil {
			_ = pool.Close()
			return nil, fmt.Errorf("mpi: Spawn: %w", err)
		}
		p.ground = s
	} else {
		posts := newPosted(o.Size)
		in.Driver, in.Ranks, in.Area = posts.me, posts.ranks, min(in.Area, bridgeAreaMost)
		p.ground = posts
	}
	joined := make([]*xme.Future[struct{}], o.Size)
	for r := range joined {
		joined[r] = join.With(xme.On(r+1)).Go(ctx, pool, in)
	}
	for r, future := range joined {
		if _, err := future.Wait(ctx); err != nil {
			p.close()
			return nil, fmt.Errorf("mpi: Spawn: rank %d: %w", r, err)
		}
	}
	return p, nil
}

func (p *program) close() {
	_ = p.pool.Close() // what was not written, its output knows
	p.ground.close()
}

// ended tells the ranks that one of them has ended.
func (p *program) ended(rank int, err error) {
	why, text := uint64(endReturned), ""
	if err != nil {
		why = endFailed
		if e, ok := errors.AsType[*xme.Error](err); ok {
			text = e.Error()
			if e.Cause == xme.CauseLost || e.Cause == xme.CauseMemory || e.Cause == xme.CauseStart {
				why = endDied
			}
		}
	}
	p.tell(rank, why, text)
}

// joining is what a rank is told: the memory, or where there is none the addresses of all.
type joining struct {
	Size, Area, Message int
	Mem                 *shm.Array[byte]
	Driver              post.Addr
	Ranks               []post.Addr
}

// join makes a worker a rank.
var join = xme.Register("join", func(ctx context.Context, in joining) (struct{}, error) {
	rank := xme.Rank(ctx) - 1
	var m *ring.Mesh
	var b *bridge
	if in.Ranks != nil {
		m, b = newBridge(in, rank)
	} else {
		mem, err := in.Mem.Retain()
		if err != nil {
			return struct{}{}, err
		}
		m = ring.NewMesh(mem.Slice(), in.Size, notes(in.Size), in.Area, park.Waits{})
	}
	cpus, _ := sys.CPUs()
	w := newWorld(m, rank, in.Size, newBoard(m, in.Size), limits{eager: eagerMost, piece: pieceMost, message: in.Message, held: heldMost}, cpus)
	if b != nil {
		b.run(w)
	}
	own.Lock()
	own.w = w
	own.Unlock()
	return struct{}{}, nil
})

const pieceMost = 32<<10 - 16
