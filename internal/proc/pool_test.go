package proc_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// scripted is a backend whose workers do as a test says.
type scripted struct {
	live   func(c link.Conn) // runs behind the handshake
	forged bool              // answer with another token
}

type scriptedProcess struct {
	conn, theirs link.Conn
	once         sync.Once
	over         chan struct{}
}

func (s scripted) Start(int, int) (proc.Process, error) {
	mine, theirs := link.Pair()
	p := &scriptedProcess{conn: mine, theirs: theirs, over: make(chan struct{})}
	go func() {
		if f, _, err := theirs.Recv(); err == nil && f.Kind == wire.KindHello {
			h, _ := wire.ParseHello(f.Body)
			if s.forged {
				h.Token[3]++
			}
			theirs.Send(link.Frame{Kind: wire.KindReady, Body: h.Token[:]})
			s.live(theirs)
		}
		p.Kill()
	}()
	return p, nil
}

func (p *scriptedProcess) Kill() {
	p.once.Do(func() {
		_ = p.theirs.Close()
		close(p.over)
	})
}

func (p *scriptedProcess) Conn() link.Conn { return p.conn }
func (p *scriptedProcess) Lanes() bool     { return false }
func (p *scriptedProcess) OpenLane([2]*sys.Bell) (*link.Lane, link.Frame, error) {
	return nil, link.Frame{}, errors.ErrUnsupported
}
func (p *scriptedProcess) PID() int               { return 1 }
func (p *scriptedProcess) Quit()                  {}
func (p *scriptedProcess) Fresh()                 {}
func (p *scriptedProcess) Limit(int64) error      { return nil }
func (p *scriptedProcess) Grown(int64) bool       { return false }
func (p *scriptedProcess) Memory() (int64, error) { return 0, errors.ErrUnsupported }
func (p *scriptedProcess) Stopped() (bool, error) { return false, nil }
func (p *scriptedProcess) Ended()                 { <-p.over }
func (p *scriptedProcess) Reap() proc.Exit        { return proc.Exit{Code: 1} }

func open(t *testing.T, live func(c link.Conn)) *proc.Pool {
	t.Helper()
	p, err := proc.Open(t.Context(), proc.Config{
		Backend: scripted{live: live}, Workers: 1, MaxProcesses: 4, Queue: 100, MaxMessage: 1000,
		FailBody: func(*link.Row, link.Outcome) []byte { return nil }, FuncName: func(uint16) string { return "f" },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// owner takes a row's ends.
type owner struct{ ends chan link.Outcome }

func (o owner) End(out link.Outcome, _ bool) bool { o.ends <- out; return false }

func submit(t *testing.T, p *proc.Pool) owner {
	t.Helper()
	o := owner{make(chan link.Outcome, 2)}
	if n, err := p.Submit(context.Background(), []*link.Row{{Body: []byte("x"), Owner: o}}); n != 1 || err != nil {
		t.Fatalf("Submit: %d, %v", n, err)
	}
	return o
}

// A row that workers die of before they have begun it is set aside: it never hangs,
// and does not cost one process after another for ever.
// feature: F1
func TestRowThatKillsBeforeItBegins(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	calls := 0
	p := open(t, func(c link.Conn) {
		f, _, err := c.Recv()
		if err == nil && f.Kind == wire.KindCall {
			mu.Lock()
			calls++
			mu.Unlock()
		}
	})
	out := <-submit(t, p).ends
	var lost *proc.LostError
	if !errors.As(out.Err, &lost) || lost.Text() != "set aside: 3 workers died as they were about to begin it, the last: exit status 1" {
		t.Errorf("it ended with %v", out.Err)
	}
	mu.Lock()
	defer mu.Unlock()
	if calls != 3 {
		t.Errorf("%d workers got it, want 3", calls)
	}
}

// Frames that do not fit end the worker, and charge the row that had begun, no other.
// feature: F1
func TestWorkerThatBreaksTheProtocol(t *testing.T) {
	t.Parallel()
	for name, frames := range map[string][]link.Frame{
		"result twice":     {{Kind: wire.KindStart, Call: 1}, {Kind: wire.KindResult, Call: 1}, {Kind: wire.KindResult, Call: 1}},
		"unknown call":     {{Kind: wire.KindStart, Call: 1}, {Kind: wire.KindResult, Call: 9}},
		"driver's own":     {{Kind: wire.KindStart, Call: 1}, {Kind: wire.KindCall, Call: 1}},
		"bad nest":         {{Kind: wire.KindStart, Call: 1}, {Kind: wire.KindNest, Call: 1, Body: []byte{1}}},
		"given back twice": {{Kind: wire.KindRecalled, Call: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := true
			var mu sync.Mutex
			p := open(t, func(c link.Conn) {
				mu.Lock()
				bad := first
				first = false
				mu.Unlock()
				for {
					f, _, err := c.Recv()
					if err != nil || f.Kind != wire.KindCall {
						return
					}
					if bad {
						for _, fr := range frames {
							c.Send(fr)
						}
						continue
					}
					c.Send(link.Frame{Kind: wire.KindStart, Call: f.Call})
					c.Send(link.Frame{Kind: wire.KindResult, Call: f.Call})
				}
			})
			o := submit(t, p)
			out := <-o.ends
			began := frames[0].Kind == wire.KindStart
			if began && name != "result twice" && out.Err == nil || !began && out.Err != nil {
				t.Errorf("the row ended with %v", out.Err)
			}
			if next := <-submit(t, p).ends; next.Err != nil {
				t.Errorf("the next row: %v", next.Err)
			}
			select {
			case again := <-o.ends:
				t.Errorf("it ended again: %+v", again)
			default:
			}
		})
	}
}

// Who answers without the token of the hello is not the worker that was started.
// feature: P10
func TestForgedToken(t *testing.T) {
	t.Parallel()
	_, err := proc.Open(t.Context(), proc.Config{
		Backend: scripted{live: func(link.Conn) {}, forged: true}, Workers: 1, MaxProcesses: 1, Queue: 1, MaxMessage: 1000,
	})
	if err == nil || !strings.Contains(err.Error(), "a hello that was not sent to it") {
		t.Errorf("Open: %v", err)
	}
}

// A process that dies as it starts does not cost the service that it was for.
// feature: S8
func TestServiceOutlivesAStart(t *testing.T) {
	t.Parallel()
	var starts atomic.Int32
	p, err := proc.Open(t.Context(), proc.Config{
		Backend: startsOf{&starts, scripted{live: func(c link.Conn) {
			for {
				f, _, err := c.Recv()
				if err != nil {
					return
				}
				if f.Kind == wire.KindCall {
					c.Send(link.Frame{Kind: wire.KindStart, Call: f.Call})
					c.Send(link.Frame{Kind: wire.KindResult, Call: f.Call})
					c.Flush()
				}
			}
		}}},
		Workers: 1, MaxProcesses: 4, Queue: 100, MaxMessage: 1000,
		FailBody: func(*link.Row, link.Outcome) []byte { return nil }, FuncName: func(uint16) string { return "f" },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	o := owner{make(chan link.Outcome, 2)}
	if n, err := p.Submit(t.Context(), []*link.Row{{Body: []byte("x"), Owner: o, Service: true}}); n != 1 || err != nil {
		t.Fatalf("Submit: %d, %v", n, err)
	}
	if out := <-o.ends; out.Err != nil {
		t.Errorf("it ended with %v", out.Err)
	}
}

// startsOf is a backend whose second process, and third, end as they start.
type startsOf struct {
	n *atomic.Int32
	scripted
}

func (b startsOf) Start(rank, limit int) (proc.Process, error) {
	p, err := b.scripted.Start(rank, limit)
	if n := b.n.Add(1); err == nil && (n == 2 || n == 3) {
		_ = p.Conn().Close()
	}
	return p, err
}

// A row that may run on any rank, and waits for one that does not start any more, runs on another.
// feature: S12
func TestRowOfABrokenRankRunsElsewhere(t *testing.T) {
	t.Parallel()
	gates := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
	backend := &brokenRank{scripted: scripted{live: func(c link.Conn) {
		for {
			f, _, err := c.Recv()
			if err != nil || f.Kind == wire.KindBye {
				return
			}
			if f.Kind == wire.KindCall {
				c.Send(link.Frame{Kind: wire.KindStart, Call: f.Call})
				if gate := gates[string(f.Body)]; gate != nil {
					<-gate
				}
				c.Send(link.Frame{Kind: wire.KindResult, Call: f.Call})
				c.Flush()
			}
		}
	}}}
	p, err := proc.Open(t.Context(), proc.Config{
		Backend: backend, Workers: 2, MaxProcesses: 4, Queue: 100, MaxMessage: 1000, Grace: time.Minute,
		FailBody: func(*link.Row, link.Outcome) []byte { return nil }, FuncName: func(uint16) string { return "f" },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	on := func(rank int, body string, fresh bool) owner {
		o := owner{make(chan link.Outcome, 2)}
		r := &link.Row{Body: []byte(body), Owner: o, Fresh: fresh, Alone: true}
		if rank > 0 {
			r.On = []int{rank}
		}
		if n, err := p.Submit(t.Context(), []*link.Row{r}); n != 1 || err != nil {
			t.Fatalf("Submit: %d, %v", n, err)
		}
		return o
	}
	first, second := on(1, "a", false), on(2, "b", false)
	close(gates["a"])
	<-first.ends
	backend.broken.Store(true)
	fresh := on(0, "x", true)       // for the first rank, whose process has run a row
	for backend.failed.Load() < 6 { // it will not come up again
		<-time.After(10 * time.Millisecond)
	}
	close(gates["b"])
	<-second.ends
	if out := <-fresh.ends; out.Err != nil || out.Rank != 2 {
		t.Errorf("it ended on rank %d, with %v", out.Rank, out.Err)
	}
}

// brokenRank is a backend whose first rank does not start once it is broken.
type brokenRank struct {
	scripted
	broken atomic.Bool
	failed atomic.Int32
}

func (b *brokenRank) Start(rank, limit int) (proc.Process, error) {
	if rank == 1 && b.broken.Load() {
		b.failed.Add(1)
		return nil, errors.New("it does not start")
	}
	return b.scripted.Start(rank, limit)
}
