package manager_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/xmetest"
)

// counter is an object.
type counter struct{ N int }

func (c *counter) Add(_ context.Context, n int) (int, error) {
	c.N += n
	return c.N, nil
}

func (c *counter) Fail(context.Context, string) (int, error)       { return 0, errors.New("no") }
func (c *counter) Panic(context.Context, string) (int, error)      { panic("oh") }
func (c *counter) Long(_ context.Context, n int) ([]byte, error)   { return make([]byte, n), nil }
func (c *counter) Length(_ context.Context, b []byte) (int, error) { return len(b), nil }

var (
	add    = manager.Method("add", (*counter).Add)
	fail   = manager.Method("fail", (*counter).Fail)
	panics = manager.Method("panic", (*counter).Panic)
	long   = manager.Method("long", (*counter).Long)
	length = manager.Method("length", (*counter).Length)
)

type countArgs struct {
	M *manager.Manager
	N int
}

var countCalls = xme.Register("countCalls", func(ctx context.Context, a countArgs) (string, error) {
	o, err := manager.Find[counter](ctx, a.M, "c")
	if err != nil {
		return "", err
	}
	begin := time.Now()
	for range a.N {
		if _, err := add.Call(ctx, o, 1); err != nil {
			return "", err
		}
	}
	return fmt.Sprint(time.Since(begin) / time.Duration(a.N)), nil
})

func TestTry(t *testing.T) {
	ctx := t.Context()
	m, err := manager.Open(ctx, manager.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	testOn(t, m)
	p, err := manager.Open(ctx, manager.Options{Process: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	testOn(t, p)
}

func testOn(t *testing.T, m *manager.Manager) {
	ctx := t.Context()
	o, err := manager.Share(ctx, m, "c", &counter{})
	if err != nil {
		t.Fatal(err)
	}
	pool := xmetest.Open(t, xme.Options{Workers: 2})
	for range 3 {
		s, err := countCalls.Call(ctx, pool, countArgs{m, 200000})
		fmt.Println(s, err)
	}
	var fs []*xme.Future[string]
	for range 2 {
		fs = append(fs, countCalls.Go(ctx, pool, countArgs{m, 100000}))
	}
	for _, f := range fs {
		s, err := f.Wait(ctx)
		fmt.Println(s, err)
	}
	n, err := add.Call(ctx, o, 0)
	fmt.Println(n, err)
}
