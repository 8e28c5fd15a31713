package manager_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// counter is an object.
type counter struct {
	N      int
	inside bool // a call runs
	closed *bool
}

var errOdd = xme.RegisterError("manager_test.errOdd", errors.New("odd"))

// Add is never to overlap with itself.
func (c *counter) Add(_ context.Context, n int) (int, error) {
	if c.inside {
		return 0, errors.New("two at a time")
	}
	c.inside = true
	runtime.Gosched()
	c.N += n
	c.inside = false
	return c.N, nil
}

func (c *counter) Fail(_ context.Context, n int) (int, error) {
	if n%2 != 0 {
		return 0, fmt.Errorf("%d: %w", n, errOdd)
	}
	return n, nil
}

func (c *counter) Panic(_ context.Context, how string) (int, error) {
	if how == "exit" {
		runtime.Goexit()
	}
	panic(how)
}

// Wait waits until its caller gives up.
func (c *counter) Wait(ctx context.Context, begun *shm.Event) (int, error) {
	if err := begun.Set(); err != nil {
		return 0, err
	}
	<-ctx.Done()
	c.N = -1
	return 0, ctx.Err()
}

func (c *counter) Echo(_ context.Context, b []byte) ([]byte, error) { return b, nil }
func (c *counter) PID(context.Context, struct{}) (int, error)       { return os.Getpid(), nil }
func (c *counter) Fill(_ context.Context, a *shm.Array[int]) (int, error) {
	return c.N, a.Use(func(s []int) error { s[0] = c.N; return nil })
}

// Own calls itself.
func (c *counter) Own(ctx context.Context, o *manager.Object[counter]) (int, error) {
	return add.Call(ctx, o, 1)
}

func (c *counter) Close() error {
	if c.closed != nil {
		*c.closed = true
	}
	return nil
}

var (
	add       = manager.Method("add", (*counter).Add)
	odd       = manager.Method("fail", (*counter).Fail)
	blowUp    = manager.Method("panic", (*counter).Panic)
	waits     = manager.Method("wait", (*counter).Wait)
	echoBytes = manager.Method("echo", (*counter).Echo)
	pid       = manager.Method("pid", (*counter).PID)
	fill      = manager.Method("fill", (*counter).Fill)
	own       = manager.Method("own", (*counter).Own)

	newCounter = manager.Constructor("new", func(_ context.Context, n int) (*counter, error) {
		if n < 0 {
			return nil, errOdd
		}
		return &counter{N: n}, nil
	})
)

// plain is an object that crosses.
type plain struct{ N int }

func (p *plain) Add(_ context.Context, n int) (int, error) {
	p.N += n
	return p.N, nil
}

var addPlain = manager.Method("add", (*plain).Add)

func tryObjects(ctx context.Context, m *manager.Manager, c *check) {
	o, err := manager.ShareNew(ctx, m, "counter", newCounter, 5)
	if err != nil {
		c.ok(err)
		return
	}
	n, err := add.Call(ctx, o, 2)
	c.ok(err)
	c.equal(n, 7)
	_, err = odd.Call(ctx, o, 1)
	c.is(err, errOdd, "counter.fail", "1: odd")
	var e *xme.Error
	c.equal(errors.As(err, &e) && e.Cause == xme.CauseReturned, true)
	_, err = blowUp.Call(ctx, o, "oh")
	c.is(err, xme.ErrPanic, "oh")
	if errors.As(err, &e) {
		frame, ok := e.Frame()
		c.equal(ok && frame.Function != "", true)
	}
	_, err = blowUp.Call(ctx, o, "exit")
	c.is(err, xme.ErrPanic, "Goexit")
	n, err = add.Call(ctx, o, 1) // it is there still
	c.ok(err)
	c.equal(n, 8)
	_, err = own.Call(ctx, o, o)
	c.is(err, manager.ErrDeadlock, "itself")

	for _, size := range []int{0, 1, 16000, 17000, 65000, 1 << 20, 9 << 20} {
		b := bytes.Repeat([]byte{byte(size), 3}, size/2)
		got, err := echoBytes.Call(ctx, o, b)
		c.ok(err)
		c.equal(bytes.Equal(got, b), true)
	}

	again, err := manager.Find[counter](ctx, m, "counter")
	c.ok(err)
	n, err = add.Call(ctx, again, 1)
	c.ok(err)
	c.equal(n, 9)
	_, err = manager.Find[plain](ctx, m, "counter")
	c.is(err, manager.ErrType, "counter", "plain")
	_, err = manager.Find[plain](ctx, m, "nobody")
	c.is(err, manager.ErrNotFound, "nobody")
	_, err = manager.ShareNew(ctx, m, "counter", newCounter, 0)
	c.is(err, manager.ErrExists, "counter")
	_, err = manager.ShareNew(ctx, m, "", newCounter, -1)
	c.is(err, errOdd)

	p, err := manager.Share(ctx, m, "", &plain{3})
	c.ok(err)
	n, err = addPlain.Call(ctx, p, 1)
	c.ok(err)
	c.equal(n, 4)
	c.ok(p.Release(ctx))
	_, err = addPlain.Call(ctx, p, 1)
	c.is(err, manager.ErrReleased)
	c.is(p.Release(ctx), manager.ErrReleased)
	_, err = addPlain.Call(ctx, nil, 1)
	c.is(err, manager.ErrClosed)

	tryMany(ctx, o, c)
	tryShared(ctx, o, c)
}

// tryMany makes calls without waiting for each, and in batches.
func tryMany(ctx context.Context, o *manager.Object[counter], c *check) {
	start, err := add.Call(ctx, o, 0)
	c.ok(err)
	var futures []*manager.Future[int]
	const many = 300
	for range many {
		futures = append(futures, add.Go(ctx, o, 1))
	}
	for i, f := range futures { // in the order in which they were made
		n, err := f.Wait(ctx)
		c.ok(err)
		c.equal(n, start+i+1)
	}
	<-futures[0].Done()
	outs, err := add.Each(ctx, o, make([]int, 1000))
	c.ok(err)
	c.equal(len(outs) == 1000 && outs[999] == start+many, true)
	outs, err = odd.Each(ctx, o, []int{2, 3, 4})
	c.is(err, errOdd, "call 1 of 3")
	c.equal(outs, []int{2, 0, 4})
	outs, err = add.Each(ctx, o, nil)
	c.ok(err)
	c.equal(len(outs), 0)
	var all sync.WaitGroup
	var faults [8]error
	for i := range faults {
		all.Go(func() {
			for last := 0; last < 200 && faults[i] == nil; last++ {
				_, faults[i] = add.Call(ctx, o, 1)
			}
		})
	}
	all.Wait()
	c.ok(errors.Join(faults[:]...))
	n, err := add.Call(ctx, o, 0)
	c.ok(err)
	c.equal(n, start+many+len(faults)*200)
}

// tryShared hands shared memory over, and gives a call up.
func tryShared(ctx context.Context, o *manager.Object[counter], c *check) {
	a, err := shm.NewArray[int](3)
	if err != nil {
		c.ok(err)
		return
	}
	defer a.Close()
	n, err := fill.Call(ctx, o, a)
	c.ok(err)
	c.equal(n > 0 && a.Slice()[0] == n, true)
	begun, err := shm.NewEvent()
	if err != nil {
		c.ok(err)
		return
	}
	defer begun.Close()
	ctx2, cancel := context.WithCancel(ctx)
	defer cancel()
	f := waits.Go(ctx2, o, begun)
	c.ok(begun.Wait(ctx))
	next := add.Go(ctx, o, 1) // waits for the call before
	short, giveUp := context.WithCancel(ctx)
	giveUp()
	_, err = f.Wait(short)
	c.is(err, context.Canceled)
	cancel()
	_, err = f.Wait(ctx)
	c.is(err, context.Canceled)
	n, err = next.Wait(ctx)
	c.ok(err)
	c.equal(n, 0) // the method was told
}

// feature: M3
// feature: M4
func TestObjects(t *testing.T) { everywhere(t, "objects") }

// TestShareElsewhere says what to do about an object that cannot cross to its manager.
func TestShareElsewhere(t *testing.T) {
	t.Parallel()
	m := openWith(t, manager.Options{Process: true})
	_, err := manager.Share(t.Context(), m, "x", &counter{})
	c := &check{}
	c.is(err, xme.ErrEncode, "ShareNew", "counter")
	if err := errors.Join(c.faults...); err != nil {
		t.Error(err)
	}
	closed := false
	here := open(t)
	o, err := manager.Share(t.Context(), here, "x", &counter{closed: &closed})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Release(t.Context()); err != nil || !closed {
		t.Errorf("released: %v, closed %v", err, closed)
	}
	var zero manager.Object[counter]
	if _, err := add.Call(t.Context(), &zero, 1); !errors.Is(err, manager.ErrClosed) {
		t.Errorf("a zero object: %v", err)
	}
}

// TestManagerCloses ends calls with an error that says so.
func TestManagerCloses(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]manager.Options{"here": {}, "process": {Process: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := openWith(t, o)
			c, err := manager.ShareNew(t.Context(), m, "", newCounter, 0)
			if err != nil {
				t.Fatal(err)
			}
			begun, err := shm.NewEvent()
			if err != nil {
				t.Fatal(err)
			}
			defer begun.Close()
			f := waits.Go(t.Context(), c, begun)
			if err := begun.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if _, err := f.Wait(t.Context()); err == nil {
				t.Error("a call ended well on a closed manager")
			}
			if _, err := add.Call(t.Context(), c, 1); !errors.Is(err, manager.ErrClosed) {
				t.Errorf("a call of a closed manager: %v", err)
			}
			if err := m.Close(); err != nil {
				t.Errorf("closed twice: %v", err)
			}
		})
	}
}

// TestMethodName: the name that errors and queues show is the type's and the method's own.
func TestMethodName(t *testing.T) {
	if got, want := add.Name(), "github.com/xenonmp/xme/manager_test.counter.add"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
