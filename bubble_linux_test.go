package xme_test

import (
	"testing"
	"testing/synctest"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
	"github.com/xenonmp/xme/xmetest"
)

// Shared memory that ends in one pool is nothing to a pool in a bubble of testing/synctest, whose goroutines nobody outside may start.
func TestSharedMemoryEndsBesideABubble(t *testing.T) {
	v, err := shm.NewValue[int64](0)
	if err != nil {
		t.Fatal(err)
	}
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	if _, err := slowsDown.Call(t.Context(), pool, slowNow{Begun: v}); err != nil {
		t.Fatal(err)
	}
	opened, ended := make(chan struct{}), make(chan error)
	go func() {
		<-opened
		ended <- v.Close()
	}()
	synctest.Test(t, func(t *testing.T) {
		inner := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
		if n, err := square.Call(t.Context(), inner, 3); n != 9 || err != nil {
			t.Error(n, err)
		}
		close(opened)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
