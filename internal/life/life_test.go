package life_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/xenonmp/xme/internal/life"
)

// start starts stop on a goroutine of its own and returns whether it has returned, asked at rest.
func start(stop func()) (returned func() bool) {
	done := make(chan struct{})
	go func() {
		stop()
		close(done)
	}()
	return func() bool {
		synctest.Wait()
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

func TestStopEndsTheContextAndWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := life.New()
		release := make(chan struct{})
		ended := 0
		var mu sync.Mutex
		for range 3 {
			if !g.Go(func(ctx context.Context) {
				<-ctx.Done()
				<-release // it takes its time
				mu.Lock()
				ended++
				mu.Unlock()
			}) {
				t.Fatal("Go refused before Stop")
			}
		}
		stopped := start(g.Stop)
		if stopped() {
			t.Error("Stop returned before the goroutines did")
		}
		close(release)
		if !stopped() {
			t.Error("Stop did not return although all goroutines have")
		}
		if ended != 3 {
			t.Errorf("%d goroutines ended before Stop returned, want 3", ended)
		}
	})
}

// The context lasts until Stop, whatever becomes of other goroutines of the group.
func TestContextLastsUntilStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := life.New()
		over := false
		g.Go(func(ctx context.Context) {
			<-ctx.Done()
			over = true
		})
		g.Go(func(context.Context) {})
		synctest.Wait()
		if over {
			t.Error("the context ended before Stop")
		}
		g.Stop()
		if !over {
			t.Error("the context did not end with Stop")
		}
	})
}

func TestGoAfterStopIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := life.New()
		release := make(chan struct{})
		g.Go(func(context.Context) { <-release })
		stopped := start(g.Stop)
		ran := false
		synctest.Wait()
		if g.Go(func(context.Context) { ran = true }) { // while Stop waits
			t.Error("Go was accepted while Stop waits")
		}
		close(release)
		if !stopped() || g.Go(func(context.Context) { ran = true }) {
			t.Error("Go was accepted after Stop")
		}
		synctest.Wait()
		if ran {
			t.Error("what Go refused ran")
		}
	})
}

// Every Stop waits, not only the first, and one after the end returns at once.
func TestStopTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := life.New()
		release := make(chan struct{})
		g.Go(func(context.Context) { <-release })
		first, second := start(g.Stop), start(g.Stop)
		if first() || second() {
			t.Error("one of two Stops returned before the goroutine did")
		}
		close(release)
		if !first() || !second() {
			t.Error("one of two Stops did not return")
		}
		g.Stop()
	})
}

// Go and Stop may meet: what Go accepted has ended when Stop returns.
func TestGoMeetsStop(t *testing.T) {
	t.Parallel()
	for range 200 {
		g := life.New()
		var mu sync.Mutex
		accepted, ended := 0, 0
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for range 10 {
					if !g.Go(func(context.Context) {
						mu.Lock()
						ended++
						mu.Unlock()
					}) {
						return
					}
					mu.Lock()
					accepted++
					mu.Unlock()
				}
			})
		}
		g.Stop()
		mu.Lock()
		before := ended
		mu.Unlock()
		callers.Wait()
		if accepted != before {
			t.Errorf("%d were accepted, %d had ended when Stop returned", accepted, before)
		}
	}
}
