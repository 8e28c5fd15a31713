package rpc_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/monitor/rpc"
)

// feature: N3
func TestMessages(t *testing.T) {
	keys := monitor.NewKeys(monitor.NewKey())
	m := monitor.New(monitor.Options{Keys: keys})
	c := dial(t, serveOn(t, listen(t), nil, rpc.WithMonitor(m)).addr)
	ctx := t.Context()
	is(t, c.Update(ctx, rpc.Put("a", 1<<60), rpc.PutJSON("b", []byte(`{"x":[1]}`)), rpc.Put("c", monitor.Array[float64]{Shape: []int{1, 2}, Data: []float64{1, 2}})), nil)
	all, err := c.Messages(ctx)
	is(t, err, nil)
	if len(all) != 3 || string(all["a"].JSON) != "1152921504606846976" || string(all["b"].JSON) != `{"x":[1]}` || all["c"].Rev == 0 {
		t.Error(all)
	}
	for _, tc := range []struct {
		changes []rpc.Change
		want    error
	}{
		{[]rpc.Change{rpc.Drop("nobody")}, monitor.ErrNoKey},
		{[]rpc.Change{rpc.If("a", 12345), rpc.Put("a", 2)}, monitor.ErrConflict},
		{[]rpc.Change{rpc.If("a", all["a"].Rev), rpc.Put("a", 2)}, nil},
		{[]rpc.Change{rpc.Put("a", 2), rpc.Drop("a")}, rpc.ErrArguments},
		{[]rpc.Change{rpc.PutJSON("a", []byte(`{`))}, rpc.ErrArguments},
		{[]rpc.Change{rpc.Put("a", make(chan int))}, rpc.ErrArguments},
	} {
		if err := c.Update(ctx, tc.changes...); !errors.Is(err, tc.want) {
			t.Errorf("got %v, want %v", err, tc.want)
		}
	}
	_, err = c.Messages(ctx, "nobody")
	is(t, err, monitor.ErrNoKey)

	sealed, err := c.Pull(ctx, "a", "b")
	is(t, err, nil)
	other := monitor.New(monitor.Options{Keys: keys})
	is(t, other.Unmarshal(ctx, sealed), nil)
	is(t, monitor.Set(ctx, other, "d", "pushed"), nil)
	sealed, err = other.Marshal(ctx)
	is(t, err, nil)
	is(t, c.Push(ctx, sealed), nil)
	if d, err := monitor.Get[string](ctx, m, "d"); d != "pushed" {
		t.Error(d, err)
	}
	sealed[len(sealed)-1]++
	is(t, c.Push(ctx, sealed), monitor.ErrTampered)

	none := dial(t, serveOn(t, listen(t), nil).addr)
	var e *rpc.Error
	if _, err := none.Messages(ctx); !errors.As(err, &e) || e.Code != "unimplemented" {
		t.Error(err)
	}
}

// To read takes no lock that somebody holds to write, as in the program itself.
//
// feature: N3
func TestMessagesAreReadWhileTheTablesLockIsHeld(t *testing.T) {
	m, err := manager.Open(t.Context(), manager.Options{})
	is(t, err, nil)
	t.Cleanup(func() { _ = m.Close() })
	mon := monitor.New(monitor.Options{Manager: m})
	is(t, monitor.Set(t.Context(), mon, "a", 1), nil)
	op, err := m.NewOperator(t.Context())
	is(t, err, nil)
	other := monitor.New(monitor.Options{Manager: m.As(op)}) // who may read only
	c := dial(t, serveOn(t, listen(t), nil, rpc.WithMonitor(other)).addr)
	held := m.Lock()
	is(t, held.Acquire(t.Context()), nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	all, err := c.Messages(ctx)
	is(t, err, nil)
	if len(all) != 1 {
		t.Error(all)
	}
	is(t, other.Update(ctx), nil)
	is(t, held.Release(t.Context()), nil)
}

// A message that cannot be shown any more does not end a watch whose connection breaks.
//
// feature: N3
func TestSubscribeOutlivesWhatCannotBeShown(t *testing.T) {
	owner, err := manager.Open(t.Context(), manager.Options{})
	is(t, err, nil)
	t.Cleanup(func() { _ = owner.Close() })
	m := monitor.New(monitor.Options{Manager: owner})
	l := listen(t)
	serveOn(t, l, nil, rpc.WithMonitor(m))
	p := newProxy(t, l.Addr().String(), 1, 0)
	c := dial(t, p.addr())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	list, err := manager.NewList[int](ctx, owner, "list", 1)
	is(t, err, nil)
	is(t, monitor.Set(ctx, m, "list", list), nil)
	n := 0
	for msg, err := range c.Subscribe(ctx) {
		is(t, err, nil)
		if n++; n == 1 {
			if msg.Key != "list" {
				t.Error(msg)
			}
			is(t, list.Release(ctx), nil)
			p.cut()
			is(t, monitor.Set(ctx, m, "other", 1), nil)
			continue
		}
		if msg.Key != "other" {
			t.Error(msg)
		}
		break
	}
	if n != 2 {
		t.Errorf("%d messages", n)
	}
}

// feature: N3
func TestSubscribe(t *testing.T) {
	m := monitor.New(monitor.Options{})
	l := listen(t)
	serveOn(t, l, nil, rpc.WithMonitor(m))
	p := newProxy(t, l.Addr().String(), 1, 0)
	c := dial(t, p.addr())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	set := func(key string, v any) {
		t.Helper()
		is(t, monitor.Set(ctx, m, key, v), nil)
	}
	set("a1", 1)
	set("a2", 1)
	set("b", 1)
	type event struct {
		key, json string
		deleted   bool
	}
	events, ended := make(chan event), make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for m, err := range c.Subscribe(ctx, "a*") {
			if err != nil {
				ended <- err
				return
			}
			events <- event{m.Key, string(m.JSON), m.Deleted}
		}
	})
	want := func(list ...event) {
		t.Helper()
		missing := map[event]bool{}
		for _, e := range list {
			missing[e] = true
		}
		for range list {
			if e := <-events; !missing[e] {
				t.Fatalf("got %v, want of %v", e, list)
			} else {
				delete(missing, e)
			}
		}
	}
	want(event{"a1", "1", false}, event{"a2", "1", false})
	set("a1", 2)
	want(event{"a1", "2", false})
	p.cut()
	is(t, m.Update(ctx, monitor.Drop("a2"), monitor.Put("a3", 3)), nil)
	want(event{"a2", "", true}, event{"a3", "3", false})
	p.cut()
	set("a1", 4)
	want(event{"a1", "4", false})
	cancel()
	is(t, <-ended, context.Canceled)
	wg.Wait()
}
