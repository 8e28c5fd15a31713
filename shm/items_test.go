package shm_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/shm"
)

// request and reply name queues of each other, tree a pipe of its own.
type (
	request struct{ Answer *shm.Queue[reply] }
	reply   struct {
		Next map[string][]*shm.Queue[request]
	}
	tree struct{ Leaves *shm.Pipe[tree] }
)

// A type of items that leads to itself is refused as any that holds shared memory.
func TestItemsThatNameTheirQueue(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"queue": second(shm.NewQueue[request](1)),
		"pipe":  third(shm.NewPipe[tree](1)),
	} {
		if err == nil || !strings.Contains(err.Error(), "travel with calls only") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

// crossing is an item whose Marshal and Unmarshal call what the test says.
type crossing struct{ Name string }

var crossings struct{ marshal, unmarshal func(name string) error }

func (m crossing) MarshalBinary() ([]byte, error) { return []byte(m.Name), crossings.marshal(m.Name) }

func (m *crossing) UnmarshalBinary(b []byte) error {
	m.Name = string(b)
	return crossings.unmarshal(m.Name)
}

// While a program's own Marshal or Unmarshal runs, others put and get; an item that panics there is dealt with.
func TestItemsOfOthersMeanwhile(t *testing.T) { //nolint:paralleltest // crossings is the program's
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	q, err := shm.NewQueue[crossing](8)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	crossings.marshal = func(name string) error {
		if name == "slow" {
			return q.Put(ctx, crossing{"quick"})
		}
		return nil
	}
	crossings.unmarshal = func(name string) error {
		switch name {
		case "quick":
			m, err := q.Get(ctx)
			if err == nil && m.Name != "slow" {
				err = errors.New("got " + m.Name)
			}
			return err
		case "bad":
			return errors.New("as it was said to be")
		case "panic":
			panic(name)
		}
		return nil
	}
	if err := q.Put(ctx, crossing{"slow"}); err != nil {
		t.Fatal(err)
	}
	if m, err := q.Get(ctx); err != nil || m.Name != "quick" {
		t.Fatal(m, err)
	}
	n, err := q.PutAll(ctx, []crossing{{"good"}, {"bad"}, {"panic"}, {"last"}})
	if n != 4 || err != nil {
		t.Fatal(n, err)
	}
	got := make([]crossing, 4)
	var bad *shm.ItemError
	if n, err := q.GetSome(ctx, got); n != 1 || !errors.As(err, &bad) || got[0].Name != "good" {
		t.Error(n, err, got)
	}
	if _, err := q.Get(ctx); !errors.As(err, &bad) || !strings.Contains(err.Error(), "panic") {
		t.Error(err)
	}
	if n, err := q.GetSome(ctx, got); n != 1 || err != nil || got[0].Name != "last" {
		t.Error(n, err, got)
	}
	if err := errors.Join(q.Done(4), q.End(), q.Join(ctx)); err != nil { // slow, quick, good, last
		t.Error(err)
	}
	if _, err := q.Get(ctx); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// An item that can never fit is told by name.
func TestItemTooLarge(t *testing.T) {
	t.Parallel()
	q, err := shm.NewQueueSize[string](2, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if n, err := q.PutAll(t.Context(), []string{"fits", strings.Repeat("x", 2000), "too"}); n != 1 || !errors.Is(err, shm.ErrTooLarge) {
		t.Error(n, err)
	}
	if ok, err := q.TryPut(strings.Repeat("x", 2000)); ok || !errors.Is(err, shm.ErrTooLarge) {
		t.Error(ok, err)
	}
}
