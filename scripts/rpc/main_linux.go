package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor/rpc"
	"github.com/xenonmp/xme/scripts/procs"
	"github.com/xenonmp/xme/shm"
)

// config is what the flags say.
type config struct {
	time    time.Duration
	seed    uint64
	clients int
	calls   int
	streams int
	mean    int
	kill    time.Duration
	patient time.Duration
}

// streamRows is how many rows a stream has.
const streamRows = 20

func main() {
	xme.Init()
	var c config
	flag.DurationVar(&c.time, "t", 20*time.Second, "about how long; one round is made at least")
	flag.Uint64Var(&c.seed, "seed", 0, "of faults and kills; 0: from the clock")
	flag.IntVar(&c.clients, "clients", 64, "clients")
	flag.IntVar(&c.calls, "calls", 1000, "calls of each in a round")
	flag.IntVar(&c.streams, "streams", 10, fmt.Sprintf("streams of %d rows of each in a round", streamRows))
	flag.IntVar(&c.mean, "mean", 20_000, "bytes between two faults of a connection, on average")
	flag.DurationVar(&c.kill, "kill", 0, "kill a worker so often, on average; 0: never")
	flag.DurationVar(&c.patient, "patience", time.Minute, "how long a call may try")
	flag.Parse()
	if flag.NArg() > 0 || c.time <= 0 || c.clients < 1 || c.calls < 0 || c.streams < 0 || c.mean < 100 {
		fmt.Fprintln(os.Stderr, "rpc: no arguments; -t and -clients above 0, -mean at least 100")
		os.Exit(2)
	}
	if err := run(context.Background(), c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rpc:", err)
		os.Exit(1)
	}
}

// order is what a call is to do.
type order struct{ Row int }

// receipt says which it was.
type receipt struct {
	Row int
	PID int
}

// ran counts the runs of each row, in all workers.
var ran *shm.Array[int64]

var (
	share = xme.Register("share", func(_ context.Context, a *shm.Array[int64]) (_ struct{}, err error) {
		ran, err = a.Retain()
		return struct{}{}, err
	})
	count = xme.Register("count", func(_ context.Context, in order) (receipt, error) {
		atomic.AddInt64(&ran.Slice()[in.Row], 1)
		if in.Row%8 == 0 { // long enough for its connection or its worker to go meanwhile
			<-time.After(2 * time.Millisecond)
		}
		return receipt{in.Row, os.Getpid()}, nil
	})
)

// soak is a run.
type soak struct {
	config
	out   io.Writer
	wrong atomic.Int64

	answered, failed, lost atomic.Int64

	mu    sync.Mutex
	kinds map[string]int
}

func (s *soak) violation(format string, args ...any) {
	if s.wrong.Add(1) <= 20 {
		fmt.Fprintf(s.out, "VIOLATION: "+format+"\n", args...)
	}
}

// fails counts an error by its kind. One of no kind that a fault may bring about is a
// violation: a worker that was lost though nobody killed it, a call that waited as long as its patience for an answer.
func (s *soak) fails(row int, err error) {
	s.failed.Add(1)
	kind := "another"
	switch {
	case errors.Is(err, xme.ErrWorkerLost):
		kind = "worker lost"
		s.lost.Add(1)
		if !procs.Struck(err) {
			s.violation("row %d: nobody killed its worker: %v", row, err)
		}
	case errors.Is(err, rpc.ErrBusy):
		kind = "busy"
	case errors.Is(err, rpc.ErrForgotten):
		kind = "forgotten"
	case errors.Is(err, rpc.ErrLost):
		kind = "unreachable"
	default:
		s.violation("row %d: %v", row, err)
	}
	s.mu.Lock()
	s.kinds[kind]++
	s.mu.Unlock()
}

func run(ctx context.Context, c config, out io.Writer) error {
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano()) % 1_000_000_000
	}
	fmt.Fprintf(out, "seed %d, %d clients, a fault every %d bytes of a connection\n", c.seed, c.clients, c.mean)
	s := &soak{config: c, out: out, kinds: map[string]int{}}
	before := procs.Take()
	for begin, round := time.Now(), 1; round == 1 || time.Since(begin) < c.time; round++ {
		if err := s.round(ctx, uint64(round)); err != nil {
			return err
		}
	}
	for _, l := range procs.Settle(before, 10*time.Second) {
		s.violation("left behind: %s", l)
	}
	if used, _ := shm.Usage(); used != 0 {
		s.violation("%d bytes of shared memory are in use", used)
	}
	if s.answered.Load() == 0 {
		s.violation("nothing was answered")
	}
	fmt.Fprintf(out, "%d answered, %d failed %v, %d violations\n", s.answered.Load(), s.failed.Load(), s.kinds, s.wrong.Load())
	if s.wrong.Load() > 0 {
		return errors.New("promises were broken")
	}
	return nil
}

// round makes all clients' calls once, on a server of its own.
func (s *soak) round(ctx context.Context, round uint64) (err error) {
	begin := time.Now()
	perClient := s.calls + s.streams*streamRows
	counts, err := shm.NewArray[int64](s.clients * perClient)
	if err != nil {
		return err
	}
	defer counts.Close()
	pool, err := xme.Open(ctx, xme.Options{Workers: 2, Setup: share.Setup(counts)})
	if err != nil {
		return err
	}
	defer pool.Close()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	serving, end := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		served <- rpc.Serve(serving, l, []rpc.Function{rpc.Export(count, pool)}, rpc.Plain())
	}()
	defer func() {
		end()
		if serr := <-served; err == nil {
			err = serr
		}
	}()
	proxy, stop, err := newProxy(ctx, "tcp", l.Addr().String(), s.mean, s.seed+round)
	if err != nil {
		return err
	}
	defer stop()
	dog := procs.Watchdog(10*time.Minute, func() string { return "rpc" })
	defer dog.Stop()
	killing, calm := context.WithCancel(ctx)
	var kills sync.WaitGroup
	killed := 0
	if s.kill > 0 {
		kills.Go(func() { killed = s.kills(killing, pool, rand.New(rand.NewPCG(s.seed+round, 2))) })
	}
	answers, before := make([]bool, s.clients*perClient), s.lost.Load()
	var clients sync.WaitGroup
	for k := range s.clients {
		clients.Go(func() { s.client(ctx, proxy.l.Addr().String(), k*perClient, answers) })
	}
	clients.Wait()
	calm()
	kills.Wait()
	if lost := s.lost.Load() - before; lost > int64(killed) {
		s.violation("round %d: %d rows were lost with their workers, and %d workers killed", round, lost, killed)
	}
	for row, n := range counts.Slice() {
		if n > 1 {
			s.violation("row %d ran %d times", row, n)
		}
		if answers[row] && n != 1 {
			s.violation("row %d has an answer, and ran %d times", row, n)
		}
	}
	fmt.Fprintf(s.out, "round %d: %d answered, %d failed so far; %d connections: %d cut, %d truncated, %d stalled, %d delays; %d workers killed; %v\n", round,
		s.answered.Load(), s.failed.Load(), proxy.conns.Load(), proxy.cut.Load(), proxy.truncated.Load(), proxy.stalled.Load(), proxy.delayed.Load(), killed,
		time.Since(begin).Round(10*time.Millisecond))
	return nil
}

// kills kills workers at random times, until ctx ends.
func (s *soak) kills(ctx context.Context, pool *xme.Pool, r *rand.Rand) (n int) {
	for {
		select {
		case <-ctx.Done():
			return n
		case <-time.After(time.Duration(r.ExpFloat64() * float64(s.kill))):
		}
		if all := pool.Workers(); len(all) > 0 && procs.Kill(all[r.IntN(len(all))].PID) {
			n++
		}
	}
}

// client makes one client's calls and streams, of rows from first on.
func (s *soak) client(ctx context.Context, addr string, first int, answers []bool) {
	var c *rpc.Client
	for try := 1; c == nil; try++ {
		limited, cancel := context.WithTimeout(ctx, s.patient)
		got, err := rpc.Dial(limited, "http://"+addr, rpc.Plain())
		cancel()
		if err == nil {
			c = got
		} else if try == 3 {
			s.violation("a client gets no connection: %v", err)
			return
		}
	}
	defer c.Close()
	for row := first; row < first+s.calls; row++ {
		limited, cancel := context.WithTimeout(ctx, s.patient)
		got, err := rpc.CallFunc(limited, c, count, order{row})
		cancel()
		s.outcome(row, got, err, answers)
	}
	for end, row := first+s.calls+s.streams*streamRows, first+s.calls; row < end; row += streamRows {
		s.stream(ctx, c, row, answers)
	}
}

// outcome notes what became of a row.
func (s *soak) outcome(row int, got receipt, err error, answers []bool) {
	switch {
	case err != nil:
		s.fails(row, err)
	case got.Row != row || got.PID == 0:
		s.violation("row %d got the answer of row %d", row, got.Row)
	default:
		s.answered.Add(1)
		answers[row] = true
	}
}

// stream makes a stream of rows from first on.
func (s *soak) stream(ctx context.Context, c *rpc.Client, first int, answers []bool) {
	ctx, cancel := context.WithTimeout(ctx, s.patient)
	defer cancel()
	in := make([]order, streamRows)
	for i := range in {
		in[i].Row = first + i
	}
	ends := make([]int, streamRows)
	for r := range rpc.Stream[order, receipt](ctx, c, "count", in) {
		ends[r.Index]++
		s.outcome(first+r.Index, r.Value, r.Err, answers)
	}
	for i, n := range ends {
		if n != 1 {
			s.violation("row %d of a stream ended %d times", first+i, n)
		}
	}
}
