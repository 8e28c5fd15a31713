package mpi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
)

// A nil context panics on the caller's goroutine, with a text that names the call, and does the rank no harm.
func TestNilContext(t *testing.T) {
	var null context.Context
	c := inOneProcess(1, 4096)[0]
	w := c.group.w
	sent := Isend(t.Context(), c, 0, 1, 1)
	got := Irecv[int](t.Context(), c, 0, 2)
	into := IrecvInto(t.Context(), c, 0, 3, make([]int, 1))
	for name, do := range map[string]func(){
		"Send":                 func() { _ = Send(null, c, 0, 0, 1) },
		"Recv":                 func() { _, _, _ = Recv[int](null, c, 0, 0) },
		"RecvInto":             func() { _, _, _ = RecvInto(null, c, 0, 0, make([]int, 1)) },
		"SendRecv":             func() { _, _, _ = SendRecv(null, c, 0, 0, 1, 0, 0) },
		"SendRecvInto":         func() { _, _, _ = SendRecvInto(null, c, 0, 0, []int{1}, 0, 0, make([]int, 1)) },
		"Probe":                func() { _, _ = Probe(null, c, 0, 0) },
		"Isend":                func() { Isend(null, c, 0, 0, 1) },
		"Irecv":                func() { Irecv[int](null, c, 0, 0) },
		"IrecvInto":            func() { IrecvInto(null, c, 0, 0, make([]int, 1)) },
		"SendRequest.Wait":     func() { _ = sent.Wait(null) },
		"RecvRequest.Wait":     func() { _, _, _ = got.Wait(null) },
		"RecvIntoRequest.Wait": func() { _, _, _ = into.Wait(null) },
		"Barrier":              func() { _ = c.Barrier(null) },
		"Broadcast":            func() { _, _ = Broadcast(null, c, 0, 1) },
		"Scatter":              func() { _, _ = Scatter(null, c, 0, []int{1}) },
		"Allreduce":            func() { _, _ = Allreduce(null, c, 1, Sum) },
		"ReduceSlice":          func() { _ = ReduceSlice(null, c, 0, []int{1}, Sum) },
		"Split":                func() { _, _ = c.Split(null, 0, 0) },
		"Run":                  func() { _ = Run(null, Options{Size: 2}, nil) },
		"Spawn":                func() { _, _ = Spawn[int, int](null, Options{Size: 2}, nil, 0) },
	} {
		func() {
			defer func() {
				want := "mpi: " + name + ": nil context: pass the one at hand, or context.Background()"
				if msg := fmt.Sprint(recover()); msg != want {
					t.Errorf("panic %q, want %q", msg, want)
				}
			}()
			do()
		}()
		if !free(w) {
			t.Fatalf("%s: the rank's lock is held", name)
		}
	}
	if err := errors.Join(Send(t.Context(), c, 0, 2, 7), Send(t.Context(), c, 0, 3, []int{8})); err != nil {
		t.Fatal(err)
	}
	if v, _, err := got.Wait(t.Context()); v != 7 || err != nil {
		t.Error(v, err)
	}
	if n, _, err := into.Wait(t.Context()); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// A zero request says that it is one.
func TestZeroRequests(t *testing.T) {
	ctx := t.Context()
	_, _, recvErr := new(RecvRequest[int]).Wait(ctx)
	_, _, intoErr := new(RecvIntoRequest).Wait(ctx)
	sendDone, sendTest := new(SendRequest).Test()
	_, _, recvDone, recvTest := new(RecvRequest[int]).Test()
	_, _, intoDone, intoTest := new(RecvIntoRequest).Test()
	for i, err := range []error{new(SendRequest).Wait(ctx), recvErr, intoErr, sendTest, recvTest, intoTest} {
		if err == nil || !strings.HasPrefix(err.Error(), "mpi: use of a zero request: ") {
			t.Errorf("%d: %v", i, err)
		}
	}
	if !sendDone || !recvDone || !intoDone {
		t.Error("to test them once more may help")
	}
}

// What is wrong with the receive of a SendRecv is found before anything is sent.
func TestSendRecvSendsNothingInVain(t *testing.T) {
	all := inOneProcess(2, 4096)
	ctx, me := t.Context(), all[0]
	for name, do := range map[string]func() error{
		"rank 2 does not exist": func() error { _, _, err := SendRecv(ctx, me, 1, 1, 1, 2, 0); return err },
		"tag -7":                func() error { _, _, err := SendRecv(ctx, me, 1, 1, 1, 1, -7); return err },
		"rank 3 does not exist": func() error { _, _, err := SendRecvInto(ctx, me, 1, 1, []int{1}, 3, 0, []int{0}); return err },
		"tag -8":                func() error { _, _, err := SendRecvInto(ctx, me, 1, 1, []int{1}, 1, -8, []int{0}); return err },
		"received in place":     func() error { _, _, err := SendRecvInto(ctx, me, 1, 1, []string{""}, 1, 0, []string{""}); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
	if err := Send(ctx, me, 1, 2, 42); err != nil {
		t.Fatal(err)
	}
	if v, st, err := Recv[int](ctx, all[1], 0, AnyTag); v != 42 || st.Tag != 2 || err != nil {
		t.Errorf("first came %d, %+v, %v", v, st, err)
	}
}

// A nil operator is refused by all ranks, and by one alone, before anything is sent.
func TestNilOperator(t *testing.T) {
	for size := 1; size <= 3; size++ {
		each(t, inOneProcess(size, 4096), func(c *Comm) error {
			ctx, last := t.Context(), c.Size()-1
			_, reduce := Reduce[int](ctx, c, last, 1, nil)
			_, all := Allreduce[int](ctx, c, 1, nil)
			_, scan := Scan[int](ctx, c, 1, nil)
			for name, err := range map[string]error{
				"Reduce": reduce, "Allreduce": all, "Scan": scan,
				"AllreduceSlice": AllreduceSlice(ctx, c, []int{1, 2}, nil), "ReduceSlice": ReduceSlice(ctx, c, last, []int{1, 2}, nil),
			} {
				if want := "mpi: " + name + ": the operator is nil"; err == nil || err.Error() != want {
					t.Errorf("%d ranks: %v, want %q", size, err, want)
				}
			}
			return c.Barrier(ctx)
		})
	}
}

// A broadcast of a call in a rank of Spawn is refused as a call is.
func TestBroadcastOfARank(t *testing.T) {
	c := inOneProcess(2, 4096)[0]
	for _, f := range join.Broadcast(t.Context(), c, joining{}) {
		if _, err := f.Wait(t.Context()); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, xme.ErrWorkerLost) || !strings.Contains(err.Error(), "they send messages") {
			t.Error(err)
		}
	}
}

// The default has as many ranks as there can be on a machine of more CPUs.
func TestDefaultSize(t *testing.T) {
	for cpus, want := range map[int]int{1: 2, 2: 2, 255: 255, 256: 256, 257: 256, 1024: 256} {
		if got := defaultSize(cpus, mostRanks); got != want {
			t.Errorf("%d CPUs: %d ranks, want %d", cpus, got, want)
		}
	}
	if o := (Options{Size: 300}); o.size(mostRanks) != 300 {
		t.Error("what was asked for is not what is refused")
	}
}

// sulkingError is a cause whose methods panic.
type sulkingError struct{}

func (*sulkingError) Error() string   { panic("no") }
func (*sulkingError) Is(error) bool   { panic("no") }
func (*sulkingError) As(any) bool     { panic("no") }
func (*sulkingError) Unwrap() []error { panic("no") }

// A context's cause may have methods that panic: they end neither Run's driver nor Spawn's.
func TestCauseWhoseMethodsPanic(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&sulkingError{})
	if err := cancelled(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was cancelled", err)
	}
	var o order
	o.add(1, context.Cause(ctx))
	o.add(0, &RankError{Rank: 1, Why: Failed})
	if o.first != 2 || o.failed != 2 {
		t.Errorf("first %d, %d failed", o.first, o.failed)
	}
}
