package xmetest_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// untilTold tells that it runs, and does so until it is told to end.
var untilTold = xme.Register("untilTold", func(ctx context.Context, running *os.File) (int, error) {
	_, err := running.WriteString("!")
	if err == nil {
		<-ctx.Done()
	}
	return 0, err
})

// aWorkerDies is what a test would be called TestAWorkerDies.
func aWorkerDies(t *testing.T) {
	pool := xmetest.Open(t, xme.Options{Workers: 1}) // closed with the test
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	row := untilTold.Go(t.Context(), pool, w)
	_ = w.Close() // the row has its own: if it ends, so does the pipe
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
		_, why := row.Wait(t.Context())
		t.Fatal(err, why)
	}
	xmetest.Kill(t, pool, 1)
	if _, err := row.Wait(t.Context()); !errors.Is(err, xme.ErrWorkerLost) {
		t.Errorf("got %v, want a lost worker", err)
	}
}

// The test binary is the program, workers are copies of it: so TestMain begins as main does, and Main runs the tests, and fails if
// they left something behind. The test here kills the worker that runs its row.
func Example() {
	testMain := func(m *testing.M) {
		xme.Init()
		xmetest.Main(m)
	}
	_, _ = testMain, aWorkerDies // go test finds them as TestMain and TestAWorkerDies, and prints nothing unless one fails

	// Output:
}
