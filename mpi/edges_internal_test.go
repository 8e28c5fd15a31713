package mpi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/post"
	"github.com/xenonmp/xme/internal/proc"
)

// edgePatience bounds what must end by itself; nothing is measured with it.
const edgePatience = 2 * time.Minute

// ends reports what a goroutine came to, or that it did not within edgePatience.
func ends(t *testing.T, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(edgePatience):
		t.Errorf("%s has not ended", what)
		return nil
	}
}

// lateGround is two ranks that are stuck, one of which does not answer the first looks in time, and says no more that it is stuck.
type lateGround struct {
	late      int
	condemned chan string
}

func (g *lateGround) look(<-chan struct{}) ([]look, error) {
	if g.late--; g.late >= 0 {
		return nil, errNoAnswer
	}
	stuck := look{stuck: true, tails: make([]uint64, 2), read: make([]uint64, 2), waits: "Recv"}
	return []look{stuck, stuck}, nil
}

func (g *lateGround) sleep(over <-chan struct{}, _ func([]look) bool) { <-over }
func (g *lateGround) condemn(text string)                             { g.condemned <- text }
func (g *lateGround) end(int, uint64, string)                         {}
func (g *lateGround) close()                                          {}

// TestEdgeLateAnswer: a rank that does not answer in time, when all are looked at, is asked again.
func TestEdgeLateAnswer(t *testing.T) {
	g, over := &lateGround{late: 3, condemned: make(chan string, 1)}, make(chan struct{})
	defer close(over)
	go watch(g, over)
	_ = ends(t, "the search for a deadlock", func() error {
		if text := <-g.condemned; !strings.Contains(text, "rank 1 waits in Recv") {
			t.Error(text)
		}
		return nil
	})
}

// TestEdgeContextEndsSendToFullRing: rank 0 has sent rank 1 a good deal, which that has read, and now waits for room in the ring to rank 2,
// which computes. The context of the Send ends, so Send returns its cause. (Found: LetterWriter.Room says true for rank 1's ring
// for ever, ready() asks all rings as soon as one is wanted, so the leader spins and never looks at ctx: no end, one CPU burnt.)
func TestEdgeContextEndsSendToFullRing(t *testing.T) {
	all := inOneProcess(3, 4096)
	for range 20 {
		if err := Send(t.Context(), all[0], 1, 0, make([]byte, 500)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Recv[[]byte](t.Context(), all[1], 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var over atomic.Bool
	err := ends(t, "Send to a rank that takes nothing, after its context has", func() error {
		defer over.Store(true)
		for {
			if err := Send(ctx, all[0], 2, 0, make([]byte, 500)); err != nil {
				return err
			}
		}
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline that was exceeded", err)
	}
	for !over.Load() { // ends the spinning
		rctx, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_, _, _ = Recv[[]byte](rctx, all[2], 0, 0)
		stop()
	}
}

// TestEdgeWaitOfRequestGivenUp: a request is given up when the context of its Irecv ends; who waits for it with another context
// is told. (Found: leave() sets done without telling the others who wait for the same operation, nor the leader.)
func TestEdgeWaitOfRequestGivenUp(t *testing.T) {
	for range 20 {
		all := inOneProcess(2, 4096)
		ctx, cancel := context.WithCancel(t.Context())
		r := Irecv[int](ctx, all[0], 1, 0)
		waits := make(chan error, 1)
		go func() {
			_, _, err := r.Wait(context.Background())
			waits <- err
		}()
		w := all[0].group.w
		for {
			w.mu.Lock()
			two := w.leading && len(w.waiters) > 0
			w.mu.Unlock()
			if two {
				break
			}
			runtime.Gosched()
		}
		cancel()
		if err := ends(t, "Wait for a request that was given up", func() error { return <-waits }); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want %v", err, context.Canceled)
		}
	}
}

// TestEdgeTwoProbesOfOneMessage: two goroutines probe; one message has come that both would receive, and nobody receives it: both are
// told of it, as MPI has it. (Found: keep() tells the first only, the other waits though the message lies there.)
func TestEdgeTwoProbesOfOneMessage(t *testing.T) {
	all := inOneProcess(2, 4096)
	told := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := Probe(t.Context(), all[0], 1, 5)
			told <- err
		}()
	}
	w := all[0].group.w
	for {
		w.mu.Lock()
		n := len(w.posted)
		w.mu.Unlock()
		if n == 2 {
			break
		}
		runtime.Gosched()
	}
	if err := Send(t.Context(), all[1], 0, 5, 1); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := ends(t, fmt.Sprint("probe ", i), func() error { return <-told }); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEdgeSplitKeysOfAnySize: Split ranks by key, whatever keys are. (Found: they are compared by subtraction, which overflows.)
func TestEdgeSplitKeysOfAnySize(t *testing.T) {
	each(t, inOneProcess(2, 4096), func(c *Comm) error {
		n, err := c.Split(t.Context(), 0, []int{math.MaxInt, math.MinInt}[c.Rank()])
		if err != nil {
			return err
		}
		if want := 1 - c.Rank(); n.Rank() != want {
			return fmt.Errorf("with key MaxInt at rank 0 and MinInt at rank 1, rank %d has become %d, want %d", c.Rank(), n.Rank(), want)
		}
		return nil
	})
}

// TestEdgeAllreduceSliceOfDifferentLengths: slices that are not as long as each other are an error, not a wrong result. (Found: 256
// float64 go whole, of 512 go halves: they fit, and the rank with 256 gets a sum of its slice and half of the other's, without an error.)
func TestEdgeAllreduceSliceOfDifferentLengths(t *testing.T) {
	all := inOneProcess(2, 64<<10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := []chan error{make(chan error, 1), make(chan error, 1)}
	for r, n := range []int{256, 512} {
		go func() { errs[r] <- AllreduceSlice(ctx, all[r], make([]float64, n), Sum) }()
	}
	if err := ends(t, "AllreduceSlice of 256 with one of 512", func() error { return <-errs[0] }); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("the rank with 256 elements, where the other has 512: %v, want an error that tells both lengths", err)
	}
	cancel()
	_ = <-errs[1] // it is cut
}

// TestEdgeReduceSliceOfDifferentLengths is the same for root alone.
func TestEdgeReduceSliceOfDifferentLengths(t *testing.T) {
	all := inOneProcess(3, 64<<10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := make([]chan error, 3)
	for r, n := range []int{100, 300, 300} { // root's goes whole, the others' in thirds
		errs[r] = make(chan error, 1)
		go func() { errs[r] <- ReduceSlice(ctx, all[r], 0, make([]float64, n), Sum) }()
	}
	if err := ends(t, "ReduceSlice of 100 with two of 300", func() error { return <-errs[0] }); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("root with 100 elements, where the others have 300: %v, want an error that tells both lengths", err)
	}
	cancel()
	_, _ = <-errs[1], <-errs[2] // they are cut
}

// TestEdgeContextEndsUnderTraffic: a receive whose context ends returns, however much other goroutines of its rank receive meanwhile. (It holds,
// but by luck: lead() looks at its context only when for a while nothing has come.)
func TestEdgeContextEndsUnderTraffic(t *testing.T) {
	all := inOneProcess(3, 64<<10)
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error, 1)
	go func() {
		_, _, err := Recv[int](ctx, all[0], 2, 0)
		waits <- err
	}()
	w := all[0].group.w
	for {
		w.mu.Lock()
		leads := w.leading
		w.mu.Unlock()
		if leads {
			break
		}
		runtime.Gosched()
	}
	var over atomic.Bool
	sends, receives := make(chan error, 1), make(chan error, 1)
	flowing := make(chan struct{})
	go func() {
		for !over.Load() {
			if err := Send(t.Context(), all[1], 0, 1, 1); err != nil {
				sends <- err
				return
			}
		}
		sends <- Send(t.Context(), all[1], 0, 1, -1)
	}()
	go func() {
		for i := 0; ; i++ {
			v, _, err := Recv[int](t.Context(), all[0], 1, 1)
			if i == 1000 {
				close(flowing)
			}
			if v < 0 || err != nil {
				receives <- err
				return
			}
		}
	}()
	<-flowing
	cancel()
	if err := ends(t, "Recv, after its context has, while others receive", func() error { return <-waits }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	over.Store(true)
	for _, c := range []chan error{sends, receives} {
		if err := ends(t, "traffic", func() error { return <-c }); err != nil {
			t.Error(err)
		}
	}
}

// TestEdgeSendRecvToNobody: a rank that does not exist is an error at once, not after something has been received. (Found: SendRecv
// receives first, which may be for ever, and only then tells why nothing was sent.)
func TestEdgeSendRecvToNobody(t *testing.T) {
	all := inOneProcess(2, 4096)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := ends(t, "SendRecv to rank 2 of 2", func() error {
		_, _, err := SendRecv(ctx, all[0], 2, 0, 1, 1, 0)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "rank 2 does not exist") {
		t.Errorf("got %v, want that rank 2 does not exist", err)
	}
}

// TestEdgeRecvOfTypeThatCannotBeSent: nobody can send a channel, so waiting for one is an error at once, as sending one is.
func TestEdgeRecvOfTypeThatCannotBeSent(t *testing.T) {
	all := inOneProcess(2, 4096)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := ends(t, "Recv of a channel", func() error {
		_, _, err := Recv[chan int](ctx, all[0], 1, 0)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Errorf("got %v, want why no channel can come", err)
	}
}

func edgeSendLocal(ctx context.Context, c *Comm) error {
	type reading struct{ Number int64 }
	return Send(ctx, c, 1, 0, reading{1})
}

// TestEdgeTypesOfOneName: two types that have one name, in two functions, are not each other. (Found: a type is known by package and name.)
func TestEdgeTypesOfOneName(t *testing.T) {
	type reading struct{ Degrees float64 }
	all := inOneProcess(2, 4096)
	if err := edgeSendLocal(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	v, _, err := Recv[reading](t.Context(), all[1], 0, 0)
	if !errors.Is(err, ErrType) {
		t.Errorf("a reading{Number int64} was received as a %T: %v, %v; want ErrType", v, v, err)
	}
}

// grumpy panics when it is decoded.
type grumpy struct{ s string }

func (g grumpy) MarshalBinary() ([]byte, error) { return []byte("x"), nil }
func (g *grumpy) UnmarshalBinary([]byte) error  { panic("I will not") }

// TestEdgePanicInUnmarshal: a user's UnmarshalBinary panics, his function recovers: the rank can go on. (Found if it hangs: decoding runs under the world's
// lock, which stays locked.)
func TestEdgePanicInUnmarshal(t *testing.T) {
	all := inOneProcess(2, 4096)
	if err := Send(t.Context(), all[1], 0, 0, grumpy{"a"}); err != nil {
		t.Fatal(err)
	}
	_ = ends(t, "Recv of what panics", func() (err error) {
		defer func() { _ = recover() }()
		_, _, err = Recv[grumpy](t.Context(), all[0], 1, 0)
		return err
	})
	if err := Send(t.Context(), all[1], 0, 0, 1); err != nil {
		t.Fatal(err)
	}
	if err := ends(t, "the next Recv", func() error {
		_, _, err := Recv[int](t.Context(), all[0], 1, 0)
		return err
	}); err != nil {
		t.Error(err)
	}
}

// TestEdgePanicOfOneIsNotAnothers: one goroutine receives what panics when decoded while another leads: the panic must not end the innocent
// one, which only waits for something else. (Found: what comes is decoded by whoever leads.)
func TestEdgePanicOfOneIsNotAnothers(t *testing.T) {
	all := inOneProcess(2, 4096)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	innocent := make(chan any, 1)
	go func() {
		defer func() { innocent <- recover() }()
		_, _, _ = Recv[int](ctx, all[0], 1, 7)
	}()
	w := all[0].group.w
	for {
		w.mu.Lock()
		leads := w.leading
		w.mu.Unlock()
		if leads {
			break
		}
		runtime.Gosched()
	}
	guilty := make(chan any, 1)
	go func() {
		defer func() { guilty <- recover() }()
		_, _, _ = Recv[grumpy](ctx, all[0], 1, 0)
	}()
	for {
		w.mu.Lock()
		n := len(w.posted)
		w.mu.Unlock()
		if n == 2 {
			break
		}
		runtime.Gosched()
	}
	if err := Send(t.Context(), all[1], 0, 0, grumpy{"a"}); err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-innocent:
		t.Errorf("the goroutine that waits for an int got the panic: %v", p)
	case <-guilty:
	case <-time.After(edgePatience):
		t.Error("nobody got the panic, and nothing ends")
	}
}

// TestEdgeGoexitInOperator: an operator ends its goroutine (a t.FailNow in it, say). The rank's other goroutines go on, or get an error:
// they do not wait for ever. (Found: it runs under the world's lock, which stays locked.)
func TestEdgeGoexitInOperator(t *testing.T) {
	all := inOneProcess(2, 64<<10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	other := make(chan error, 1)
	go func() { other <- AllreduceSlice(ctx, all[1], make([]float64, 4096), Sum) }()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = AllreduceSlice(ctx, all[0], make([]float64, 4096), func(a, b float64) float64 { runtime.Goexit(); return a })
	}()
	select {
	case <-gone:
	case <-time.After(edgePatience):
		t.Fatal("the goroutine has not ended")
	}
	_ = ends(t, "a Send after an operator has ended its goroutine", func() error { return Send(ctx, all[0], 1, 0, 1) })
	cancel()
}

// TestEdgeManyThatNobodyAskedFor: many small messages are set aside and then received, in a time that grows with their number, not with its
// square. (Found: each receive moves the whole list of those set aside by one.)
func TestEdgeManyThatNobodyAskedFor(t *testing.T) {
	const n = 400_000
	all := inOneProcess(2, 256<<10)
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			if err := Send(t.Context(), all[1], 0, 1, i); err != nil {
				sent <- err
				return
			}
		}
		sent <- Send(t.Context(), all[1], 0, 2, -1)
	}()
	if _, _, err := Recv[int](t.Context(), all[0], 1, 2); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool
	got := 0
	_ = ends(t, fmt.Sprintf("receiving %d messages that had come before", n), func() error {
		for ; got < n && !over.Load(); got++ {
			if v, _, err := Recv[int](t.Context(), all[0], 1, 1); err != nil || v != got {
				return fmt.Errorf("%d: %d, %w", got, v, err)
			}
		}
		return nil
	})
	over.Store(true)
}

// TestEdgeSelfMessageEndsWildcard: all others have returned, a goroutine of this rank serves AnySource, another tells it to stop by a
// message to itself. It gets that message. (Found: the wildcard receive ends with "rank 1 has returned" though its own rank can still send.)
func TestEdgeSelfMessageEndsWildcard(t *testing.T) {
	all := inOneProcess(2, 4096)
	served := make(chan error, 1)
	go func() {
		v, _, err := Recv[string](t.Context(), all[0], AnySource, 0)
		if err == nil && v != "stop" {
			err = errors.New(v)
		}
		served <- err
	}()
	w := all[0].group.w
	for {
		w.mu.Lock()
		n := len(w.posted)
		w.mu.Unlock()
		if n == 1 {
			break
		}
		runtime.Gosched()
	}
	w.board.end(1, endReturned, "")
	w.mesh.Poke(0)
	for { // until it has looked
		w.mu.Lock()
		seen := w.ended > 0
		w.mu.Unlock()
		if seen {
			break
		}
		runtime.Gosched()
	}
	if err := Send(t.Context(), all[0], 0, 0, "stop"); err != nil {
		t.Fatal(err)
	}
	if err := ends(t, "the server", func() error { return <-served }); err != nil {
		t.Error(err)
	}
}

// TestEdgeNilComm: Split gives a nil communicator to who wants none; what is asked of it is answered, as its messages and collectives are, by no panic.
func TestEdgeNilComm(t *testing.T) {
	var c *Comm
	for name, f := range map[string]func(){
		"Size": func() { c.Size() }, "Rank": func() { c.Rank() }, "String": func() { _ = fmt.Sprint(c.String()) }, "Ranks": func() { c.Ranks() },
		"Close": func() { _ = c.Close() }, "Stats": func() { c.Stats() }, "Submit": func() { _, _ = c.Submit(t.Context(), nil) },
	} {
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("(*Comm)(nil).%s: %v", name, p)
				}
			}()
			f()
		}()
	}
	if err := c.Barrier(t.Context()); err == nil {
		t.Error("a barrier of nobody")
	}
}

// TestEdgePostedStuckDuringLook: where letters go by post a rank says that it is stuck just after it has answered that it is not, while the driver waits
// for another's answer. The driver looks again. (Found: look() swallows the wake-up, sleep() waits for another that never comes: the deadlock is not found.)
func TestEdgePostedStuckDuringLook(t *testing.T) {
	p := newPosted(3)
	defer p.close()
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		watch(p, over)
	}()
	defer func() {
		close(over)
		<-done
	}()
	asked := func() uint64 {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.asked
	}
	until := func(what string, f func() bool) {
		for end := time.Now().Add(edgePatience); !f(); runtime.Gosched() {
			if time.Now().After(end) {
				t.Error("waited in vain for ", what)
				return
			}
		}
	}
	answer := func(rank int, stuck byte) {
		body := binary.LittleEndian.AppendUint64([]byte{postAnswer}, asked())
		body = append(binary.LittleEndian.AppendUint64(body, 1), stuck)
		p.Deliver(post.Message{From: p.ranks[rank], Body: append(body, make([]byte, 8+16*3)...)})
	}
	until("a look", func() bool { return asked() == 1 })
	answer(0, 1)
	answer(1, 0)
	until("the look to see that", func() bool { return len(p.answered) == 0 })
	p.Deliver(post.Message{From: p.ranks[1], Body: []byte{postStuck}})
	answer(2, 1)
	until("another look, since rank 1 is stuck now", func() bool { return asked() > 1 })
}

// TestEdgeBufferIsTheCallersAgain: a RecvInto whose context ends in the middle of a large message returns, and does not write to the caller's memory any more; nor does
// one that was too short, or of another type. The next message is received.
func TestEdgeBufferIsTheCallersAgain(t *testing.T) {
	const n = 100_000
	all := inOneProcess(2, 4096)
	ctx, cancel := context.WithCancel(t.Context())
	w, dst := all[0].group.w, make([]int64, n)
	first := isend(all[1], 0, 0, make([]int64, n))
	go func() { // the sender stops in the middle
		for {
			_, _ = first.test()
			w.mu.Lock()
			at := 0
			for _, o := range w.streams[1] {
				at = o.at
			}
			w.mu.Unlock()
			if at > 0 {
				cancel()
				return
			}
			runtime.Gosched()
		}
	}()
	if _, _, err := RecvInto(ctx, all[0], 1, 0, dst); !errors.Is(err, context.Canceled) {
		t.Fatalf("it was not cut: %v", err)
	}
	for i := range dst {
		dst[i] = 5
	}
	sent := make(chan error, 1)
	go func() {
		err := first.await(t.Context(), true)
		for range 2 {
			err = errors.Join(err, Send(t.Context(), all[1], 0, 0, make([]int64, n)))
		}
		sent <- errors.Join(err, Send(t.Context(), all[1], 0, 0, []int64{7}))
	}()
	if _, _, err := RecvInto(t.Context(), all[0], 1, 0, dst[:10]); !errors.Is(err, ErrTruncated) {
		t.Fatal(err)
	}
	if _, _, err := Recv[[]int32](t.Context(), all[0], 1, 0); !errors.Is(err, ErrType) {
		t.Fatal(err)
	}
	for _, v := range dst {
		if v != 5 {
			t.Fatal("the caller's memory has been written after its return")
		}
	}
	if n, _, err := RecvInto(t.Context(), all[0], 1, 0, dst); n != 1 || dst[0] != 7 || err != nil {
		t.Fatalf("%d, %v, %v", n, dst[0], err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// TestEdgeRankInErrorsIsTheCommunicators: an error of a receive in a sub-communicator names the rank there, as all others do. (Found: that of a message that was taken
// back, in the middle, names the rank in the world.)
func TestEdgeRankInErrorsIsTheCommunicators(t *testing.T) {
	all := inOneProcess(3, 4096)
	sub := func(rank, me int) *Comm {
		return &Comm{group: &group{w: all[rank].group.w, id: 9, ranks: []int{1, 2}, rank: me}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	received := make(chan error, 1)
	go func() {
		_, _, err := Recv[[]byte](t.Context(), sub(1, 0), 1, 0)
		received <- err
	}()
	out := all[2].group.w
	go func() {
		for {
			out.mu.Lock()
			streams := len(out.outgo[1].stream)
			out.mu.Unlock()
			if streams > 0 {
				cancel()
				return
			}
			runtime.Gosched()
		}
	}()
	if err := Send(ctx, sub(2, 1), 0, 0, make([]byte, 100<<20)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := <-received; err == nil || !strings.Contains(err.Error(), "rank 1 gave up") {
		t.Errorf("got %v, want that rank 1 gave up", err)
	}
}

var edgeNothing = xme.Register("edge.nothing", func(context.Context, int) (int, error) { return 0, nil })

// TestEdgeDeathBeforeTheFunction: a rank's process dies after it has joined and before its function is called. The rank has died, for Spawn's caller (errors.Is ErrWorkerLost, says the guide) and
// for the others. (Found: the call ends with ErrClosed, "rank 2 is closed", and the others are told that the function has failed.)
func TestEdgeDeathBeforeTheFunction(t *testing.T) {
	p, err := start(t.Context(), Options{Size: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := proc.KillRank(p.pool, 2); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(edgePatience); p.pool.Workers()[1].State != xme.Retired; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the death is not noticed")
		}
	}
	_, err = edgeNothing.With(xme.On(2)).Go(t.Context(), p.pool, 0).Wait(t.Context()) // as Spawn does
	if !errors.Is(err, xme.ErrWorkerLost) {
		t.Errorf("got %v, want an error that wraps ErrWorkerLost", err)
	}
	p.ended(1, err)
	if s, ok := p.ground.(*shared); ok {
		if e := s.board.ended(1); e == nil || e.Why != Died {
			t.Errorf("the others are told: %v, want that it has died", e)
		}
	}
}

// hooked is where a message goes whose coming calls a function.
type hooked struct{ f func() }

func (h hooked) begin(uint32, int) error { return nil }
func (h hooked) write(int, []byte)       {}
func (h hooked) end() error              { h.f(); return nil }

// TestEdgeLastOfReturnedRankIsNotLost: a rank has returned, and sends the last that waited for room just when another looks what has ended: between that it has
// emptied the rank's ring, and that it reads whether the rank has something left. (Found: hopeless reads queued() after the ring was emptied, so the receive ends with "has returned", and the message lies
// in the ring. What is queued has to be read before the ring is emptied.)
func TestEdgeLastOfReturnedRankIsNotLost(t *testing.T) {
	all := inOneProcess(3, 4096)
	from, me := all[0].group.w, all[1].group.w
	for {
		r := isend(all[0], 1, 0, make([]byte, 500))
		if r.err != nil {
			t.Fatal(r.err)
		}
		if !r.o.done { // there is no room
			break
		}
	}
	last := isend(all[0], 1, 7, []byte{1})
	if last.o.done {
		t.Fatal("it has not been queued")
	}
	recv := func(o *op, peer, tag int) {
		o.g, o.what, o.peer, o.tag = all[1].group, "Recv", peer, tag
		me.mu.Lock()
		defer me.mu.Unlock()
		if err := me.recv(o); err != nil {
			t.Fatal(err)
		}
	}
	wanted := kindOf[[]byte]().receipt()
	recv(&wanted.op, 0, 7)
	// Rank 2's ring is emptied after rank 0's; what comes from it has rank 0 go on.
	hook := &op{sink: hooked{func() {
		from.mu.Lock()
		defer from.mu.Unlock()
		from.pushAll()
	}}}
	recv(hook, 2, 0)
	if err := Send(t.Context(), all[2], 1, 0, 1); err != nil {
		t.Fatal(err)
	}
	from.board.end(0, endReturned, "")
	from.board.end(2, endReturned, "")
	me.mu.Lock()
	me.lookAround()
	me.mu.Unlock()
	if !last.o.done || !hook.done {
		t.Fatal("the test does not do what it says")
	}
	if wanted.op.done && wanted.op.err != nil {
		t.Errorf("the message was put into the ring, the receive has ended with: %v", wanted.op.err)
	}
}
