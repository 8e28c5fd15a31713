package xme

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// Pool is an executor whose workers are processes running this same program. All its
// methods may be called concurrently. Whoever opens a pool must close it. Calls on a zero
// Pool panic.
type Pool struct {
	p    *proc.Pool
	rows rowRunner // p; benchmarks put in another
	opts Options

	setup *setupCall
	freed sync.Once // what it holds
	out   *output

	decoding sync.WaitGroup // results that decode by code of the user's

	summary sync.Once // printed

	bounds string // how Options.Memory is kept to

	calls atomic.Uint64 // numbers Call and Go, for their seeds

	mu      sync.Mutex
	watches map[<-chan struct{}]*watch
	empty   *watch // the last one that watches no call, kept for the next
}

// Worker describes one worker of a pool.
type Worker struct {
	Rank  int // from 1; a replacement keeps its predecessor's
	PID   int // 0 while there is no process
	State State
	Done  uint64 // rows that ended on this rank
}

// State is what a worker is doing.
type State uint8

// The states of a worker.
const (
	Starting State = iota // its process is being started or replaced
	Idle                  // ready for rows
	Busy                  // has rows
	Retired               // takes no more rows and has no process any more: see [Pool.Retire]
)

// String returns the state's name: "starting", "idle", "busy" or "retired".
func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Idle:
		return "idle"
	case Busy:
		return "busy"
	case Retired:
		return "retired"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Open starts the workers side by side and returns once the first is ready. ctx bounds
// Open only. It returns an error, and leaves nothing behind, if an option makes no sense,
// if [Init] has not run, if the first worker does not start, or if ctx ends first. If the
// worker failed, or Options.Setup in it, the error is an *Error; if this system lacks
// something, the error wraps errors.ErrUnsupported, and if ctx ended, its cause.
func Open(ctx context.Context, o Options) (*Pool, error) {
	if ctx == nil {
		panic(nilContext("Open"))
	}
	if !table.isFrozen() {
		return nil, errors.New("xme: Open before Init: make xme.Init() the first statement of main, and of TestMain; " +
			"the workers are copies of this program and are served there")
	}
	if role != nil && !served.Load() {
		return nil, errors.New("xme: Open in a worker that does not serve: xme.Init must be called unconditionally")
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	id, err := identity()
	if err != nil {
		return nil, fmt.Errorf("xme: Open: %w", err)
	}
	pool := &Pool{opts: o, watches: map[<-chan struct{}]*watch{}}
	cfg := proc.Config{
		Identity: id, Workers: o.Workers, Spares: max(o.Spares, 0), MaxProcesses: o.MaxProcesses, Recycle: o.Recycle, Memory: o.Memory, Shared: o.Shared,
		Queue: o.Queue, MaxMessage: o.MaxMessage, Grace: max(o.Grace, 0), StartTimeout: o.StartTimeout,
		Backend: proc.BackendFrom(ctx), Kind: proc.KindFrom(ctx), FailBody: failBody, FuncName: func(i uint16) string { return table.at(i).nameOf() },
		RowOf: rowOf,
	}
	if slices.Contains(o.Env, waitEnv+"=1") {
		cfg.StartTimeout = 0 // who attaches a debugger takes his time
	}
	if o.Setup.call != nil {
		if pool.setup, err = o.Setup.call(o); err != nil {
			return nil, fmt.Errorf("xme: Open: setup: %w", err)
		}
		cfg.Setup = pool.setup.row
	}
	if pool.out, err = newOutput(&o); err != nil {
		_ = pool.release()
		return nil, fmt.Errorf("xme: Open: %w", err)
	}
	if b, ok := cfg.Backend.(*proc.InProcess); ok {
		twin := *b
		twin.Log = pool.out.sink()
		cfg.Backend = &twin
	} else if cfg.Backend == nil {
		cfg.Umask = sys.Umask()
		cfg.Backend, err = pool.processes()
	}
	if err == nil {
		pool.p, err = proc.Open(ctx, cfg)
		pool.rows = pool.p
	}
	if err != nil {
		_ = pool.release()
		return nil, openError(err)
	}
	if o.Banner {
		pool.out.say(fmt.Sprintf("xme %s, workers: %d, link: %v", wire.ModuleVersion(), o.Workers, pool.link()))
	}
	return pool, nil
}

// opened returns the pool that Open made for p. It panics, on the caller's goroutine, if
// there is none.
func (p *Pool) opened() *proc.Pool {
	switch {
	case p == nil:
		panic("xme: use of a nil *Pool: has Open returned an error?")
	case p.p == nil:
		panic("xme: use of a zero Pool: use the *Pool that Open returned")
	}
	return p.p
}

// link returns what the pool's rows travel by.
func (p *Pool) link() Link {
	switch exec, ok := p.p.Backend().(*proc.Exec); {
	case !ok:
		return LinkPipe // channels: the same frames
	case exec.Pipes || !sys.HasSockets:
		return LinkPipe
	case exec.NoLanes || !sys.HasLanes:
		return LinkSocket
	}
	return LinkAuto
}

// openError is Open's error: an *Error if workers do not start.
func openError(err error) error {
	if !as(err, new(*proc.StartError)) {
		return fmt.Errorf("xme: Open: %w", err)
	}
	c := Call{fn: &function{name: "Open"}, index: -1, opts: &CallOptions{}, ctx: context.Background()}
	return c.errorOf(link.Outcome{Err: err})
}

// failBody encodes how a call that a task made has failed.
func failBody(r *link.Row, o link.Outcome) []byte {
	c := Call{fn: table.at(r.Func), index: -1, opts: &CallOptions{Timeout: r.Timeout}, ctx: context.Background()}
	if c.fn == nil {
		c.fn = &function{name: fmt.Sprintf("function %d", r.Func)}
	}
	return errorBody(c.errorOf(o))
}

func (fn *function) nameOf() string {
	if fn == nil {
		return "?"
	}
	return fn.name
}

// processes makes the backend that starts this program again.
func (p *Pool) processes() (proc.Backend, error) {
	o := p.opts
	path, err := sys.Executable()
	if err != nil {
		return nil, err
	}
	name := path
	if len(os.Args) > 0 {
		name = os.Args[0]
	}
	exec := &proc.Exec{
		Path: path, Args: []string{name, "xme-worker"}, Env: o.Env, Dir: o.Dir, Pipes: o.Link == LinkPipe, NoLanes: o.Link == LinkSocket,
		Line: p.out.line, Record: p.out.record, LogForm: p.out.form.String(), Memory: o.Memory,
	}
	if o.Memory > 0 {
		exec.Groups, err = sys.MemoryCgroup()
		p.bounds = "control group below " + exec.Groups + ", RLIMIT_DATA and a look every 25 ms"
		if err != nil {
			p.bounds = "RLIMIT_DATA and a look every 25 ms (" + err.Error() + ")"
		}
	}
	return exec, nil
}

// release frees what a pool holds beside its workers, and says what was not written.
func (p *Pool) release() (err error) {
	if p.out != nil {
		err = p.out.close()
	}
	if p.setup != nil {
		p.freed.Do(p.setup.parcel.Close)
	}
	return err
}

// Shutdown accepts no more calls, waits for those accepted to end, and closes the pool.
// If ctx ends first, it closes the pool at once, cutting short what runs, and returns
// ctx's cause. Of a Map, Unordered or Table under way, only the rows already submitted
// have been accepted: the next row ends with ErrClosed, and input not read by then is not
// run. Let such loops end first.
func (p *Pool) Shutdown(ctx context.Context) error {
	err := p.opened().Drain(ctx)
	return errors.Join(err, p.Close())
}

// Close ends calls that wait with ErrClosed, ends the contexts of tasks that run, and
// kills workers whose tasks still run after Options.Grace. It returns when every worker
// has been reaped and what they printed and logged has been written. Tasks can delay it
// by Options.Grace and half a second, a result being decoded by a method of its type by
// Options.Grace; output adds up to 30 s if it is slow, and 1 s if it is blocked. Closing
// twice is fine. The error says how much was not written because an output blocked or
// failed.
func (p *Pool) Close() error {
	p.opened().Close()
	p.awaitDecoding()
	p.printSummary()
	err := p.release()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.empty != nil {
		p.empty.forget()
		p.empty = nil
	}
	return err
}

// awaitDecoding waits for results that are being decoded by code of the user's, as
// long as tasks have to return in.
func (p *Pool) awaitDecoding() {
	done := make(chan struct{})
	go func() {
		p.decoding.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(max(p.opts.Grace, 0)):
	}
}

// kill ends the process of a rank, for xmetest.
func (p *Pool) kill(rank int) error { return p.p.Kill(rank) }

func init() {
	proc.KillRank = func(pool any, rank int) error {
		p, ok := pool.(*Pool)
		if !ok {
			return fmt.Errorf("a %T has no workers to kill", pool)
		}
		return p.kill(rank)
	}
	proc.CancelAll = func(pool any, err error) { pool.(*Pool).p.CancelAll(asOthers(err)) }
	proc.OpenRanks = func(pool any) []int { return pool.(*Pool).p.OpenRanks() }
}
