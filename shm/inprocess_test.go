package shm_test

import (
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// A worker in this process that ends is no process that has died: what the process holds it keeps, and where it takes part it does.
func TestWorkerInProcessEnds(t *testing.T) {
	t.Parallel()
	m, b := newMutex(t), newBarrier(t, 2)
	if err := m.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	pool := xmetest.OpenInProcess(t, xme.Options{Workers: 2})
	xmetest.Kill(t, pool, 1)
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
	if err := b.Broken(); err != nil {
		t.Error(err)
	}
	if err := m.Unlock(); err != nil {
		t.Error(err)
	}
}
