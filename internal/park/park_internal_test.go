package park

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds waits, only against hanging.
const patience = time.Minute

// Who looks again now and then is woken though the word does not change: as many as are to be, at that word only.
func TestPollersAreWoken(t *testing.T) {
	defer func(f func() bool) { hasWaitAny = f }(hasWaitAny)
	hasWaitAny = func() bool { return false }
	for range own {
		alone <- struct{}{}
		defer func() { <-alone }()
	}
	var words [2]atomic.Uint32
	ends := make(chan int)
	wait := func(i int) {
		go func() {
			Waits{}.Wait(&words[i], 0, time.Hour)
			ends <- i
		}()
	}
	at := func(i int) int {
		pollers.Lock()
		defer pollers.Unlock()
		return len(pollers.of[&words[i]])
	}
	await := func(want int) {
		t.Helper()
		select {
		case i := <-ends:
			if i != want {
				t.Errorf("one at word %d was woken, want %d", i, want)
			}
		case <-time.After(patience):
			t.Fatal("it hangs")
		}
	}
	for _, i := range []int{1, 0, 0, 0} {
		wait(i)
	}
	for start := time.Now(); at(0) < 3 || at(1) < 1; runtime.Gosched() {
		if time.Since(start) > patience {
			t.Fatal("they do not come to wait")
		}
	}
	Waits{}.Wake(&words[0], 1)
	await(0)
	if n := at(0); n != 2 {
		t.Errorf("%d wait on, want 2", n)
	}
	Waits{}.Wake(&words[0], 1<<30)
	await(0)
	await(0)
	if n := at(1); n != 1 {
		t.Errorf("%d wait on at the other word, want 1", n)
	}
	words[1].Store(1)
	await(1)
	if len(pollers.of) != 0 || polling.Load() != 0 {
		t.Errorf("%d words, %d who look are left behind", len(pollers.of), polling.Load())
	}
}
