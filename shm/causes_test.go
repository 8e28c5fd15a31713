package shm_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/shm"
)

// A context that ended with what another lock said, the death of its holder, say, gives nobody this lock. (An errgroup ends its context with the first error of its functions.)
//
// feature: M1, K6
func TestCauseIsAnotherLocks(t *testing.T) {
	t.Parallel()
	m, rw := newMutex(t), newRWMutex(t)
	if err := errors.Join(m.Lock(t.Context()), rw.Lock(t.Context())); err != nil {
		t.Fatal(err)
	}
	why := errors.New("why")
	for _, cause := range []error{&shm.OwnerDiedError{What: "another"}, errors.Join(why, shm.ErrOwnerDied), errors.Join(why, shm.ErrNotHeld), errors.Join(why, shm.ErrClosed)} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Millisecond, func() { cancel(cause) })
		for name, do := range map[string]func(context.Context, func(*shm.OwnerDiedError) error) error{"mutex": m.Do, "write": rw.Do, "read": rw.RDo} {
			err := do(ctx, func(*shm.OwnerDiedError) error {
				t.Errorf("%s: it was not got, and is used", name)
				return nil
			})
			var e *shm.WaitError
			var died *shm.OwnerDiedError
			if !errors.As(err, &e) || errors.Is(err, shm.ErrOwnerDied) || errors.Is(err, shm.ErrNotHeld) || errors.Is(err, shm.ErrClosed) || errors.As(err, &died) || e.Err != cause { //nolint:errorlint // identity is meant
				t.Errorf("%s: %v", name, err)
			}
			if _, joined := cause.(interface{ Unwrap() []error }); joined && !errors.Is(err, why) {
				t.Errorf("%s: the cause is not found in %v", name, err)
			}
		}
	}
	if err := errors.Join(m.Unlock(), rw.Unlock()); err != nil {
		t.Error(err) // it was given back by who did not have it
	}
}

// cutShort is an item whose decoder has met the end of its bytes.
type cutShort struct{ Text string }

func (c cutShort) MarshalBinary() ([]byte, error) { return []byte(c.Text), nil }
func (c *cutShort) UnmarshalBinary(b []byte) error {
	if c.Text = string(b); c.Text == "short" {
		return io.EOF
	}
	return nil
}

// The end of an item is not that of its queue, nor is a context's cause.
//
// feature: M1
func TestEndsThatAreNone(t *testing.T) {
	t.Parallel()
	q, err := shm.NewQueueSize[cutShort](10, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	put := func(items ...string) {
		for _, text := range items {
			if err := q.Put(t.Context(), cutShort{text}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("one", "short", "two")
	if err := q.End(); err != nil {
		t.Fatal(err)
	}
	seen := ""
	for v, err := range q.All(t.Context()) {
		if err != nil {
			if errors.Is(err, io.EOF) {
				t.Errorf("%v is the end", err)
			}
			v.Text = "bad"
		}
		seen += v.Text + " "
	}
	if seen != "one bad two " {
		t.Errorf("%q", seen)
	}
}

// Who comes with a context that has ended gets nothing and puts nothing, though he need not wait.
//
// feature: M1
func TestQueueOfAnEndedContext(t *testing.T) {
	t.Parallel()
	ints, err := shm.NewQueue[int](10)
	if err != nil {
		t.Fatal(err)
	}
	defer ints.Close()
	texts, err := shm.NewQueueSize[string](10, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	defer texts.Close()
	if err := errors.Join(ints.Put(t.Context(), 1), texts.Put(t.Context(), "a")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	cancel(why)
	_, getInt := ints.Get(ctx)
	_, getText := texts.Get(ctx)
	for what, err := range map[string]error{"get": getInt, "get a text": getText, "put": ints.Put(ctx, 2), "put a text": texts.Put(ctx, "b")} {
		if !errors.Is(err, why) {
			t.Errorf("%s: %v", what, err)
		}
	}
	told := 0
	for v, err := range ints.All(ctx) {
		if told++; !errors.Is(err, why) {
			t.Errorf("All: %d, %v", v, err)
		}
	}
	if told != 1 {
		t.Errorf("All yielded %d pairs", told)
	}
	if n, m := ints.Len(), texts.Len(); n != 1 || m != 1 {
		t.Errorf("%d and %d items", n, m)
	}
}

// What another queue has said, and a context has ended with, is not this one's end, nor an item of its own.
//
// feature: M1
func TestCauseIsAnotherQueues(t *testing.T) {
	t.Parallel()
	q, err := shm.NewQueue[int](10)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	a, b, err := shm.NewPipe[int](10)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	for _, cause := range []error{io.EOF, &shm.ItemError{Err: errors.New("bad")}} {
		for _, late := range []bool{false, true} { // it ends while somebody waits
			for name, all := range map[string]func(context.Context) iter.Seq2[int, error]{"queue": q.All, "pipe": a.All} {
				ctx, cancel := context.WithCancelCause(t.Context())
				if late {
					time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
				} else {
					cancel(cause)
				}
				told := 0
				for _, err := range all(ctx) {
					if told++; err == nil || !strings.Contains(err.Error(), "the context has ended") || told > 1 {
						t.Fatalf("%s: %v", name, err)
					}
				}
				if told != 1 {
					t.Errorf("%s: it ended with %v as if that were its own", name, cause)
				}
				cancel(nil)
			}
		}
	}
}
