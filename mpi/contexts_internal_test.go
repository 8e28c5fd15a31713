package mpi

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// ownContext is a context of the user's making: its methods do something of their own first.
type ownContext struct {
	context.Context
	do func(method string)
}

func (c ownContext) Err() error            { c.do("Err"); return c.Context.Err() }
func (c ownContext) Done() <-chan struct{} { c.do("Done"); return c.Context.Done() }
func (c ownContext) Value(key any) any     { c.do("Value"); return c.Context.Value(key) }

// free reports whether the rank's lock can be had, which other goroutines hold for moments.
func free(w *world) bool {
	for range 1 << 20 {
		if w.mu.TryLock() {
			w.mu.Unlock()
			return true
		}
		runtime.Gosched()
	}
	return false
}

// until waits until so is true of a rank.
func until(w *world, so func() bool) {
	for is := false; !is; runtime.Gosched() {
		w.mu.Lock()
		is = so()
		w.mu.Unlock()
	}
}

// TestContextMayUseTheRank: methods of a context run without the rank's lock, in who leads and in who follows, also when it has ended.
func TestContextMayUseTheRank(t *testing.T) {
	all := inOneProcess(2, 4096)
	w := all[0].group.w
	under, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	enough := errors.New("enough")
	var called sync.Map
	ctx := ownContext{under, func(method string) {
		called.Store(method, true)
		if !free(w) {
			panic("the rank's lock is held in " + method)
		}
	}}
	waits := make(chan error, 3)
	waiting := func(f func() error) {
		go func() {
			defer func() {
				if v := recover(); v != nil {
					waits <- fmt.Errorf("%v", v)
				}
			}()
			waits <- f()
		}()
	}
	waiting(func() error { _, _, err := Recv[int](ctx, all[0], 1, 1); return err })
	waiting(func() error { _, _, err := Recv[int](ctx, all[0], 1, 2); return err })
	waiting(func() error { return all[0].Barrier(ctx) })
	_ = ends(t, "what waits", func() error {
		until(w, func() bool { return w.leading && len(w.waiters) == 2 || len(waits) > 0 })
		cancel(enough)
		for range 3 {
			if err := <-waits; !errors.Is(err, enough) {
				t.Errorf("%v, want the cause", err)
			}
		}
		return nil
	})
	for _, method := range []string{"Err", "Done", "Value"} {
		if _, ok := called.Load(method); !ok {
			t.Errorf("nobody has called %s", method)
		}
	}
}

// TestContextPanics: a method of a context panics, or ends the goroutine, in who leads or in who follows. What he waited for is given up, and the
// rank's other goroutines go on.
func TestContextPanics(t *testing.T) {
	for _, method := range []string{"Err", "Done", "Value"} {
		for _, exits := range []bool{false, true} {
			for _, leads := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, exits: %t, leads: %t", method, exits, leads), func(t *testing.T) { contextPanics(t, method, exits, leads) })
			}
		}
	}
}

func contextPanics(t *testing.T, method string, exits, leads bool) {
	if method == "Err" && !leads {
		return // who follows does not call it
	}
	all := inOneProcess(2, 4096)
	w := all[0].group.w
	followed := func() bool { return w.leading && len(w.waiters) == 1 }
	under, cancel := context.WithCancel(t.Context())
	defer cancel()
	broken := ownContext{under, func(called string) {
		if called != method {
			return
		}
		if leads {
			until(w, followed)
		}
		if exits {
			runtime.Goexit()
		}
		panic("not today")
	}}
	other, gone, dst := make(chan error, 1), make(chan any, 1), []int{0}
	patient := func() {
		v, _, err := Recv[int](t.Context(), all[0], 1, 2)
		if err == nil && v != 2 {
			err = fmt.Errorf("received %d", v)
		}
		other <- err
	}
	hasty := func() {
		var v any
		defer func() { gone <- v }()
		defer func() { v = recover() }()
		_, _, err := RecvInto(broken, all[0], 1, AnyTag, dst)
		t.Errorf("it has returned with %v", err)
	}
	first, second := patient, hasty
	if leads {
		first, second = hasty, patient
	}
	_ = ends(t, "a Recv whose context panics", func() error {
		go first()
		until(w, func() bool { return w.leading })
		go second()
		if method == "Value" && !leads {
			until(w, followed)
			cancel()
		}
		if v := <-gone; exits && v != nil || !exits && v != "not today" {
			t.Errorf("it ended with %v", v)
		}
		for _, tag := range []int{2, 1} {
			if err := Send(t.Context(), all[1], 0, tag, tag); err != nil {
				return err
			}
		}
		if err := <-other; err != nil {
			t.Errorf("the other: %v", err)
		}
		if v, _, err := Recv[int](t.Context(), all[0], 1, 1); v != 1 || err != nil || dst[0] != 0 {
			t.Errorf("then %d, %v; what was given up has got %d", v, err, dst[0])
		}
		return nil
	})
}

// TestContextPanicsInCollective: nothing of the collective goes on into memory that is the caller's again.
func TestContextPanicsInCollective(t *testing.T) {
	c := inOneProcess(3, 4096)[0]
	w := c.group.w
	buf := make([]int, 3*smallSlice)
	ctx := ownContext{t.Context(), func(method string) {
		if method == "Err" {
			panic("not today")
		}
	}}
	func() {
		defer func() {
			if v := recover(); v != "not today" {
				t.Errorf("it ended with %v", v)
			}
		}()
		_ = AllreduceSlice(ctx, c, buf, Sum)
	}()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.posted) != 0 || w.leading || w.outgo[1].stream != nil || len(w.outgo[1].parked) != 0 || len(w.outgo[2].parked) != 0 {
		t.Errorf("posted %d, leading %t, going out %+v", len(w.posted), w.leading, w.outgo)
	}
}

// TestContextPanicsInSendRecv: what was to be sent beside the receive is the caller's again.
func TestContextPanicsInSendRecv(t *testing.T) {
	all := inOneProcess(2, 4096)
	w := all[0].group.w
	broken := ownContext{t.Context(), func(string) { panic("broken") }}
	big := make([]byte, 1<<20)
	for name, f := range map[string]func() error{
		"SendRecv":     func() error { _, _, err := SendRecv(broken, all[0], 1, 0, big, 1, 0); return err },
		"SendRecvInto": func() error { _, _, err := SendRecvInto(broken, all[0], 1, 0, big, 1, 0, make([]byte, 8)); return err },
	} {
		func() {
			defer func() {
				if v := recover(); v != "broken" {
					t.Errorf("%s: recovered %v", name, v)
				}
			}()
			t.Errorf("%s: %v", name, f())
		}()
		w.mu.Lock()
		if n := len(w.outgo[1].queue) + len(w.outgo[1].stream); n != 0 || len(w.posted) != 0 {
			t.Errorf("%s: %d are sent still, %d received", name, n, len(w.posted))
		}
		w.mu.Unlock()
	}
}

// TestAskingIsNotWaiting: while a goroutine asks its context the rank knows of it, which is not stuck then: that one may go on.
func TestAskingIsNotWaiting(t *testing.T) {
	w := inOneProcess(2, 4096)[0].group.w
	asked := map[string]bool{}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	ctx := ownContext{over, func(method string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		asked[method] = w.asking == 1
	}}
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.boundsOf(ctx)
	_ = w.causeOf(ctx)
	if !asked["Done"] || !asked["Value"] || w.asking != 0 {
		t.Error(asked, w.asking)
	}
}
