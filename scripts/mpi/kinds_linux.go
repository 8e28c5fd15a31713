package main

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/mpi"
	"github.com/xenonmp/xme/scripts/procs"
)

// kind is what a call does.
type kind uint8

// The kinds.
const (
	value kind = iota
	big
	fails
	panics
	crashes
	exits
	hangs
	nested
	kinds
)

var kindNames = [kinds]string{"value", "big", "fails", "panics", "crashes", "exits", "hangs", "nested"}

// exitCode is what a call exits with that exits.
const exitCode = 7

// job is a call's argument, answer its result.
type (
	job struct {
		ID   uint64
		Kind kind
		Data []byte
	}
	answer struct {
		ID, Sum uint64
		Rank    int
		Data    []byte
	}
)

var work *xme.Func[job, answer]

func init() { work = xme.Register("work", do) }

func do(ctx context.Context, j job) (answer, error) {
	switch j.Kind {
	case fails:
		return answer{}, errors.New(j.text())
	case panics:
		panic(j.text())
	case crashes:
		go func() { panic(j.text()) }()
		select {}
	case exits:
		os.Exit(exitCode)
	case hangs:
		<-ctx.Done()
		return answer{}, ctx.Err()
	case nested:
		return work.Call(ctx, xme.Current(ctx), job{ID: j.ID, Kind: value, Data: j.Data})
	}
	return answer{ID: j.ID, Sum: j.sum(), Rank: xme.Rank(ctx), Data: j.Data}, nil
}

func (j job) text() string { return "job " + strconv.FormatUint(j.ID, 10) + " fails" }

func (j job) sum() uint64 {
	h := fnv.New64a()
	_, _ = h.Write(j.Data)
	return h.Sum64() ^ j.ID
}

// pending is a call under way.
type pending struct {
	g         *game
	j         job
	on        []int
	cancelled bool
	fu        *xme.Future[answer]
}

// open is how many calls a caller has under way at most.
const open = 20

// call makes n calls, and returns those whose ends it has not waited for.
func (g *game) call(ctx context.Context, c *mpi.Comm, rng *rand.Rand, n int, leave bool) (left []*pending) {
	for range n {
		p := &pending{g: g, j: job{ID: rng.Uint64(), Data: make([]byte, rng.IntN(100))}}
		if rng.IntN(3) == 0 {
			p.j.Kind = kind(rng.IntN(int(kinds)))
		}
		if p.j.Kind == big {
			p.j.Data = make([]byte, rng.IntN(300_000))
		}
		for i := range p.j.Data {
			p.j.Data[i] = byte(p.j.ID >> (i % 56))
		}
		f := work
		for range rng.IntN(3) {
			p.on = append(p.on, 1+rng.IntN(g.size-1))
		}
		if p.on != nil {
			f = f.With(xme.On(p.on...))
		}
		switch rng.IntN(10) {
		case 0:
			f = f.With(xme.Retries(1))
		case 1:
			f = f.With(xme.Fresh())
		case 2:
			if p.j.Kind == value {
				g.broadcast(ctx, c, p.j)
				continue
			}
		}
		p.fu = f.Go(ctx, c, p.j)
		if p.j.Kind == hangs || rng.IntN(20) == 0 {
			p.cancelled = true
			p.fu.Cancel()
		}
		if left = append(left, p); len(left) > rng.IntN(open) {
			for _, p := range left {
				p.judge(ctx)
			}
			left = nil
		}
	}
	if leave {
		return left
	}
	for _, p := range left {
		p.judge(ctx)
	}
	return nil
}

// broadcast makes a call on each rank.
func (g *game) broadcast(ctx context.Context, c *mpi.Comm, j job) {
	last := 0
	for _, fu := range work.Broadcast(ctx, c, j) {
		p := &pending{g: g, j: j, fu: fu}
		if a, err := fu.Wait(ctx); err == nil {
			if a.Rank <= last {
				g.r.complain("round %d: a broadcast ran on rank %d behind %d", g.seed, a.Rank, last)
			}
			last = a.Rank
		} else if errors.Is(err, xme.ErrClosed) && g.ranks.Load() != 0 {
			g.r.ended("closed")
			continue
		} else if len(c.Ranks()) == 0 && strings.Contains(err.Error(), "no worker is alive") {
			g.r.ended("no worker alive")
			continue
		}
		p.judge(ctx)
	}
}

// judge waits for a call's end and says what is wrong with it. It waits twice: the end is one.
func (p *pending) judge(ctx context.Context) {
	g := p.g
	a, err := p.fu.Wait(context.WithoutCancel(ctx))
	again, err2 := p.fu.Wait(ctx)
	if a.ID != again.ID || !errors.Is(err2, err) && err != err2 { //nolint:errorlint // the same
		g.r.complain("round %d: %s ended twice: %v, %v", g.seed, kindNames[p.j.Kind], err, err2)
	}
	var e *xme.Error
	switch {
	case err == nil && (p.j.Kind == value || p.j.Kind == big || p.j.Kind == nested):
		if a.ID != p.j.ID || a.Sum != p.j.sum() || !bytes.Equal(a.Data, p.j.Data) {
			g.r.complain("round %d: the result of call %d is that of %d", g.seed, p.j.ID, a.ID)
		}
		if on := p.on; len(on) > 0 && p.j.Kind != nested && a.Rank != on[0] && a.Rank != on[len(on)-1] {
			g.r.complain("round %d: a call for ranks %v ran on %d", g.seed, on, a.Rank)
		}
		g.r.ended("results")
	case err == nil:
		g.r.complain("round %d: %s has a result", g.seed, kindNames[p.j.Kind])
	case a.ID != 0 || a.Data != nil || !errors.As(err, &e):
		g.r.complain("round %d: a result beside %v (%T)", g.seed, err, err)
	case errors.Is(err, context.Canceled) && (p.cancelled || g.cut.Load()):
		g.r.ended("cancelled")
	case errors.Is(err, xme.ErrClosed) && (g.closed(p.on) || g.cut.Load()):
		g.r.ended("closed")
	case p.j.Kind == fails && e.Message == p.j.text():
		g.r.ended("own errors")
	case p.j.Kind == panics && errors.Is(err, xme.ErrPanic) && strings.Contains(err.Error(), p.j.text()):
		g.r.ended("panics")
	case errors.Is(err, xme.ErrDepth) && p.j.Kind == nested:
		g.r.ended("no place")
	case procs.Struck(err) && (e.Cause == xme.CauseStart || len(e.Nested) > 0 && strings.HasPrefix(e.Message, xme.CauseStart.String())):
		g.unstarted.Add(1)
		g.r.ended("no start")
	case e.Cause == xme.CauseLost && (p.j.Kind == exits && e.ExitCode == exitCode || p.j.Kind == crashes && e.ExitCode == 2 && strings.Contains(e.Message+e.Stack, p.j.text())):
		g.r.ended("crashes and exits")
	case errors.Is(err, xme.ErrWorkerLost) && strings.Contains(err.Error(), "set aside") && (procs.Struck(err) || strings.Contains(err.Error(), "as they were about to begin it")): // by calls before it
		g.r.ended("set aside")
	case procs.Struck(err):
		g.lost.Add(1)
		g.r.ended("lost")
	default:
		g.r.complain("round %d: %s on %v ended with %v (exit %d, signal %q)", g.seed, kindNames[p.j.Kind], p.on, err, e.ExitCode, e.Signal)
	}
}
