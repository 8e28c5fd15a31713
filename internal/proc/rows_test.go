package proc_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/drain"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/wire"
)

// patience is how long what must come is waited for.
const patience = 10 * time.Second

// gated is a backend whose workers say which process runs which row, and answer a row once its gate, if it has one, is opened. They do not end when they are told
// bye, until leave is closed.
type gated struct {
	gates map[string]chan struct{} // by body
	ran   chan ranRow
	leave chan struct{}
	quit  chan struct{} // gets one for each process that is asked to quit; nil: nobody listens
	most  int32         // processes that start before leave is closed; 0: all do
	procs atomic.Int32
}

type ranRow struct {
	body string
	proc int32
}

func newGated(bodies ...string) *gated {
	g := &gated{gates: map[string]chan struct{}{}, ran: make(chan ranRow, 100), leave: make(chan struct{})}
	for _, b := range bodies {
		g.gates[b] = make(chan struct{})
	}
	return g
}

func (g *gated) Start(rank, limit int) (proc.Process, error) {
	n := g.procs.Add(1)
	if g.most > 0 && n > g.most {
		<-g.leave
	}
	p, err := scripted{live: func(c link.Conn) {
		for {
			f, _, err := c.Recv()
			switch {
			case err != nil:
				return
			case f.Kind == wire.KindBye:
				<-g.leave
				return
			case f.Kind == wire.KindCall:
				g.ran <- ranRow{string(f.Body), n}
				c.Send(link.Frame{Kind: wire.KindStart, Call: f.Call})
				c.Flush()
				if gate := g.gates[string(f.Body)]; gate != nil {
					<-gate
				}
				c.Send(link.Frame{Kind: wire.KindResult, Call: f.Call})
				c.Flush()
			}
		}
	}}.Start(rank, limit)
	return quits{p, g.quit}, err
}

// quits is a process that tells when it is asked to quit, and lives on.
type quits struct {
	proc.Process
	told chan struct{}
}

func (q quits) Quit() {
	if q.told != nil {
		q.told <- struct{}{}
	}
}

// open opens a pool of one such worker. What is set in more counts.
func (g *gated) open(t *testing.T, more proc.Config) *proc.Pool {
	t.Helper()
	more.Backend, more.Workers, more.MaxProcesses, more.MaxMessage = g, 1, 4, 1000
	if more.Queue == 0 {
		more.Queue = 100
	}
	more.FailBody, more.FuncName = func(*link.Row, link.Outcome) []byte { return nil }, func(uint16) string { return "f" }
	p, err := proc.Open(t.Context(), more)
	if err != nil {
		t.Fatal(err)
	}
	leave := sync.OnceFunc(func() { close(g.leave) })
	t.Cleanup(func() {
		leave()
		p.Close()
	})
	return p
}

func (g *gated) begins(t *testing.T) ranRow {
	t.Helper()
	select {
	case r := <-g.ran:
		return r
	case <-time.After(patience):
		t.Fatal("no row has begun")
		return ranRow{}
	}
}

func send(t *testing.T, p *proc.Pool, r *link.Row) owner {
	t.Helper()
	o := owner{make(chan link.Outcome, 2)}
	r.Owner = o
	if n, err := p.Submit(t.Context(), []*link.Row{r}); n != 1 || err != nil {
		t.Fatalf("Submit: %d, %v", n, err)
	}
	return o
}

// What waits for room when no more rows shall begin is not accepted, and does not wait on.
// feature: F2
func TestDrainEndsTheWaitForRoom(t *testing.T) {
	t.Parallel()
	g := newGated("first")
	p := g.open(t, proc.Config{Queue: 1})
	first := send(t, p, &link.Row{Body: []byte("first")})
	g.begins(t)
	why := errors.New("no more")
	draining, drained := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() {
		_, err := p.Submit(drain.With(context.Background(), draining), []*link.Row{{Body: []byte("second"), Owner: owner{make(chan link.Outcome, 2)}}})
		ended <- err
	}()
	drained(why)
	select {
	case err := <-ended:
		if !errors.Is(err, why) {
			t.Errorf("Submit: %v", err)
		}
	case <-time.After(patience):
		t.Error("it still waits")
	}
	close(g.gates["first"])
	<-first.ends
	select {
	case r := <-g.ran:
		t.Errorf("%q has run", r.body)
	default:
	}
}

// A process that was asked to quit gets no more rows, though its row returns before it has ended.
// feature: F1
func TestNoRowFollowsIntoAProcessThatQuits(t *testing.T) {
	t.Parallel()
	g := newGated("stubborn")
	g.quit = make(chan struct{}, 10)
	p := g.open(t, proc.Config{Grace: time.Millisecond})
	row := &link.Row{Body: []byte("stubborn")}
	first := send(t, p, row)
	ran := g.begins(t)
	p.Cancel(context.Canceled, row)
	<-g.quit
	close(g.gates["stubborn"])
	<-first.ends
	next := send(t, p, &link.Row{Body: []byte("next")})
	if got := g.begins(t); got.proc == ran.proc {
		t.Errorf("the next row runs in the process that was asked to quit")
	}
	<-next.ends
}

// A row that needs a new process, and for which a spare is ready, does not wait for the end of the one before.
// feature: S12
func TestFreshRowTakesTheSpareAtOnce(t *testing.T) {
	t.Parallel()
	g := newGated()
	g.most = 2
	p := g.open(t, proc.Config{Spares: 1, Grace: time.Minute})
	<-send(t, p, &link.Row{Body: []byte("warm")}).ends
	used := g.begins(t)
	for end := time.Now().Add(patience); p.Stats().Spares == 0; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no spare is ready")
		}
	}
	fresh := send(t, p, &link.Row{Body: []byte("fresh"), Fresh: true, Alone: true})
	if n := p.Stats().Queued; n != 0 {
		t.Error("it waits")
	}
	if got := g.begins(t); got.proc == used.proc {
		t.Errorf("it runs in the process that had run a row")
	}
	<-fresh.ends
}

// A rank whose process was about to be started again when the pool was closed is retired then.
// feature: P7
func TestRankThatWaitsToStartIsRetiredByClose(t *testing.T) {
	t.Parallel()
	var starts atomic.Int32
	p, err := proc.Open(t.Context(), proc.Config{
		Backend: counted{&starts, scripted{live: func(link.Conn) {}}}, Workers: 1, MaxProcesses: 4, Queue: 100, MaxMessage: 1000,
		FailBody: func(*link.Row, link.Outcome) []byte { return nil }, FuncName: func(uint16) string { return "f" },
	})
	if err != nil {
		t.Fatal(err)
	}
	// From the tenth start on a rank waits for at least a quarter of a second between two, without a process.
	for end := time.Now().Add(patience); starts.Load() < 10 || p.Workers()[0].PID != 0; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no rank waits to start")
		}
	}
	p.Close()
	if w := p.Workers()[0]; !w.Retired {
		t.Errorf("after Close: %+v", w)
	}
}

// counted counts starts.
type counted struct {
	n *atomic.Int32
	scripted
}

func (c counted) Start(rank, limit int) (proc.Process, error) {
	c.n.Add(1)
	return c.scripted.Start(rank, limit)
}

// What three workers have died of before it began is not tried again, however often it may be.
// feature: F1
func TestRowThatKillsBeforeItBeginsIsNotRetried(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	p := open(t, func(c link.Conn) {
		if f, _, err := c.Recv(); err == nil && f.Kind == wire.KindCall {
			calls.Add(1)
		}
	})
	o := retrier{ends: make(chan bool, 100)}
	if n, err := p.Submit(t.Context(), []*link.Row{{Body: []byte("x"), Owner: o, Keep: true}}); n != 1 || err != nil {
		t.Fatalf("Submit: %d, %v", n, err)
	}
	if <-o.ends {
		t.Error("it may be tried again")
	}
	if n := calls.Load(); n != 3 {
		t.Errorf("%d workers got it, want 3", n)
	}
}

// retrier has a row tried again as long as it may be.
type retrier struct{ ends chan bool }

func (r retrier) End(_ link.Outcome, again bool) bool {
	r.ends <- again
	return again
}
