package xmetest

import (
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
)

// Open opens a pool for t and closes it when t ends.
func Open(t testing.TB, o xme.Options) *xme.Pool {
	t.Helper()
	pool, err := xme.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// OpenInProcess opens a pool whose workers are goroutines of this process: the same
// frames, codec, dispatch and errors, but only channels between them, so that it runs in
// a testing/synctest bubble. Globals are shared, and a worker that is killed lives on,
// unheard, until its task returns.
func OpenInProcess(t testing.TB, o xme.Options) *xme.Pool {
	t.Helper()
	pool, err := xme.Open(proc.WithBackend(t.Context(), proc.NewInProcess()), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// Kill ends the worker of a rank at once, by SIGKILL to its process group. It does not
// wait for the replacement.
func Kill(t testing.TB, pool *xme.Pool, rank int) {
	t.Helper()
	if err := proc.KillRank(pool, rank); err != nil {
		t.Fatal(err)
	}
}
