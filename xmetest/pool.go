package xmetest

import (
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
)

// Open opens a pool for t, which closes it at its end.
func Open(t testing.TB, o xme.Options) *xme.Pool {
	t.Helper()
	pool, err := xme.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// OpenInProcess opens a pool whose workers are goroutines of this process: the
// same frames, codec, dispatch and errors, on channels only, so that it runs in a
// testing/synctest bubble. Globals are shared, and a worker that is killed lives on
// until its task returns, unheard.
func OpenInProcess(t testing.TB, o xme.Options) *xme.Pool {
	t.Helper()
	pool, err := xme.Open(proc.WithBackend(t.Context(), proc.NewInProcess()), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// Kill ends the worker of a rank at once: SIGKILL to its process group. It returns
// without waiting for the replacement.
func Kill(t testing.TB, pool *xme.Pool, rank int) {
	t.Helper()
	if err := proc.KillRank(pool, rank); err != nil {
		t.Fatal(err)
	}
}
