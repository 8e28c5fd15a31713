package proc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// A lingering process is there for a while after its link has ended.
type lingering struct{ *scriptedProcess }

func (p lingering) Lanes() bool { return true }

func (p lingering) OpenLane(bells [2]*sys.Bell) (*link.Lane, link.Frame, error) {
	l, f := link.PairLane(bells)
	return l, f, nil
}

func (p lingering) Ended() {
	<-p.over
	<-time.After(1500 * time.Millisecond)
}

type lingerers struct{ scripted }

func (b lingerers) Start(rank, limit int) (proc.Process, error) {
	p, err := b.scripted.Start(rank, limit)
	if err != nil {
		return nil, err
	}
	return lingering{p.(*scriptedProcess)}, nil
}

// The look at busy workers finds one whose link has ended, and with it its lane, before its process has: with a row that is set aside, having cost the third.
//
// feature: F1
func TestLookAtAWorkerWithoutItsLink(t *testing.T) {
	t.Parallel()
	p, err := proc.Open(t.Context(), proc.Config{
		Backend: lingerers{scripted{live: func(c link.Conn) {
			for {
				if f, _, err := c.Recv(); err != nil || f.Kind == wire.KindLane {
					return
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
	g := p.Segment(link.SegmentBytes) // so that the first row goes by a lane
	if g == nil {
		t.Skip("no shared memory")
	}
	o := owner{make(chan link.Outcome, 2)}
	if n, err := p.Submit(context.Background(), []*link.Row{{Body: g.Bytes()[:link.SegmentBytes], Segment: g, Owner: o}}); n != 1 || err != nil {
		t.Fatalf("Submit: %d, %v", n, err)
	}
	var lost *proc.LostError
	if out := <-o.ends; !errors.As(out.Err, &lost) || lost.Deaths != 3 {
		t.Errorf("it ended with %v", out.Err)
	}
}

// cutOff is a backend whose processes are killed while they send a result.
type cutOff struct{ scripted }

type cutOffProcess struct {
	*scriptedProcess
	conn link.Conn
}

func (p cutOffProcess) Conn() link.Conn { return p.conn }
func (p cutOffProcess) Reap() proc.Exit { return proc.Exit{Code: -1, Signal: "SIGKILL"} }
func (p cutOffProcess) Ended()          { <-p.over; <-time.After(10 * time.Millisecond) } // after the end of its link was read
func (b cutOff) Start(int, int) (proc.Process, error) {
	near, file, err := sys.SocketPair()
	if err != nil {
		return nil, err
	}
	far, err := sys.Adopt(file)
	if err != nil {
		return nil, err
	}
	end := link.NewConn(far, 1<<20)
	p := cutOffProcess{&scriptedProcess{theirs: end, over: make(chan struct{})}, link.NewConn(near, 1<<20)}
	go func() {
		defer p.Kill()
		f, _, err := end.Recv()
		if err != nil {
			return
		}
		h, _ := wire.ParseHello(f.Body)
		end.Send(link.Frame{Kind: wire.KindReady, Body: h.Token[:]})
		end.Flush()
		if f, _, err = end.Recv(); err != nil || f.Kind != wire.KindCall {
			return
		}
		end.Send(link.Frame{Kind: wire.KindStart, Call: f.Call})
		end.Flush()
		end.Wait(0)
		head := wire.Header{Kind: wire.KindResult, Call: f.Call, Len: 1000}
		var b [wire.HeaderSize]byte
		head.Put(&b)
		_, _ = far.Write(append(b[:], make([]byte, 500)...), nil)
	}()
	return p, nil
}

// A worker that is killed while it sends has been killed: that its last frame is cut short says nothing of it.
//
// feature: F1
func TestFrameCutShort(t *testing.T) {
	t.Parallel()
	p, err := proc.Open(t.Context(), proc.Config{
		Backend: cutOff{}, Workers: 1, MaxProcesses: 4, Queue: 100, MaxMessage: 1000,
		FailBody: func(*link.Row, link.Outcome) []byte { return nil }, FuncName: func(uint16) string { return "f" },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	var lost *proc.LostError
	if out := <-submit(t, p).ends; !errors.As(out.Err, &lost) || lost.Why != nil || lost.Exit.Signal != "SIGKILL" {
		t.Errorf("it ended with %v", out.Err)
	}
}
