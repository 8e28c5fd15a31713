package monitor_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
)

// soon bounds what must not hang.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// A table's operations, one by one: reads of a single key too, and updates under the lock that it has unless it is given another.
//
// feature: N1, F19, F20
func TestTable(t *testing.T) {
	everywhere(t, func(t *testing.T, o monitor.Options) {
		ctx, m := soon(t), monitor.New(o)
		ok(t, m.Update(ctx, monitor.Put("a", "text"), monitor.Put("b", []int{1}), monitor.PutJSON("c", []byte(` {"x" : 1} `)))) // fault 20
		all, err := m.Messages(ctx)
		ok(t, err)
		var keys []string
		for key, msg := range all.Items() {
			keys = append(keys, key+"="+string(msg.JSON))
			if msg.Key != key || msg.Rev != all["a"].Rev || msg.Rev == 0 {
				t.Errorf("%q is %+v: one update has one revision", key, msg)
			}
		}
		if want := []string{`a="text"`, `b={"$array":"int64","shape":[1],"data":[1]}`, `c={"x":1}`}; !reflect.DeepEqual(keys, want) {
			t.Errorf("got %q, want %q", keys, want)
		}
		one, err := m.Messages(ctx, "a") // fault 19
		if err != nil || string(one["a"].JSON) != `"text"` || len(one) != 1 {
			t.Errorf("got %v, %v", one, err)
		}
		if some, err := m.Messages(ctx, "a", "no", "b"); err != nil || len(some) != 2 {
			t.Errorf("got %v, %v", some, err)
		}
		for name, err := range map[string]error{
			"get":      func() error { _, err := monitor.Get[int](ctx, m, "no"); return err }(),
			"messages": func() error { _, err := m.Messages(ctx, "no"); return err }(),
			"marshal":  func() error { _, err := m.Marshal(ctx, "no"); return err }(),
			"delete":   m.Delete(ctx, "a", "no"),
			"drop":     m.Update(ctx, monitor.Put("a", 2), monitor.Drop("no")),
		} {
			if !errors.Is(err, monitor.ErrNoKey) || !strings.Contains(err.Error(), `"no"`) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if err := m.Update(ctx, monitor.If("a", 9999), monitor.Put("a", 1)); !errors.Is(err, monitor.ErrConflict) {
			t.Errorf("got %v", err)
		}
		ok(t, m.Update(ctx, monitor.If("a", one["a"].Rev), monitor.If("d", 0), monitor.Put("d", 1), monitor.Drop("a")))
		if n, err := m.Len(ctx); n != 3 || err != nil {
			t.Errorf("%d keys, %v", n, err)
		}
		ok(t, m.Delete(ctx, "b", "c"))
		ok(t, m.Clear(ctx))
		if all, err := m.Messages(ctx); len(all) != 0 || err != nil {
			t.Errorf("got %v, %v", all, err)
		}
		if err := m.Update(ctx, monitor.Change{}); err == nil || !strings.Contains(err.Error(), "monitor.Put") && !strings.Contains(err.Error(), "use Put") {
			t.Errorf("got %v", err)
		}
		if err := m.Delete(ctx); err == nil {
			t.Error("Delete without keys deleted")
		}
	})
}

// A packed table is merged into another one, whole or not at all.
//
// feature: N1, N2, F19
func TestUnmarshalMerges(t *testing.T) {
	everywhere(t, func(t *testing.T, o monitor.Options) {
		ctx := soon(t)
		o.Keys, o.Context = monitor.NewKeys(monitor.NewKey()), "merge"
		o.Window = time.Hour
		m, other := monitor.New(o), monitor.New(monitor.Options{Keys: o.Keys, Context: o.Context})
		ok(t, m.Update(ctx, monitor.Put("mine", 1), monitor.Put("both", 1)))
		ok(t, other.Update(ctx, monitor.Put("both", 2), monitor.Put("theirs", 2), monitor.Put("left", 2)))
		sealed, err := other.Marshal(ctx, "both", "theirs") // fault 19
		ok(t, err)
		ok(t, m.Unmarshal(ctx, sealed))
		all, err := m.Messages(ctx)
		ok(t, err)
		if len(all) != 3 || string(all["mine"].JSON)+string(all["both"].JSON)+string(all["theirs"].JSON) != "122" || all["both"].Rev != all["theirs"].Rev {
			t.Errorf("got %v", all)
		}
		if err := m.Unmarshal(ctx, sealed); !errors.Is(err, monitor.ErrReplay) {
			t.Errorf("again: got %v", err)
		}
		s := monitor.Sealer{Keys: o.Keys, Context: o.Context}
		for _, text := range []string{"", "[]", "1", `{"a":1,"a":2}`, `{"a":1}x`, `{"a":}`, "{\"\xff\":1}", `{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}"} {
			sealed, err := s.Seal([]byte(text))
			ok(t, err)
			if err := m.Unmarshal(ctx, sealed); !errors.Is(err, monitor.ErrMalformed) {
				t.Errorf("%.20q: got %v", text, err)
			}
		}
		if n, err := m.Len(ctx); n != 3 || err != nil {
			t.Errorf("%d keys, %v", n, err)
		}
	})
}

// feature: N1
func TestWatchOfAllKeys(t *testing.T) {
	everywhere(t, func(t *testing.T, o monitor.Options) {
		ctx, m := soon(t), monitor.New(o)
		ok(t, monitor.Set(ctx, m, manager.StatusKey, 1)) // no key of messages is reserved
		for msg, err := range m.Watch(ctx, "*") {
			ok(t, err)
			if msg.Key != manager.StatusKey {
				t.Errorf("%q", msg.Key)
			}
			break
		}
	})
}

// feature: N1
func TestWatch(t *testing.T) {
	everywhere(t, func(t *testing.T, o monitor.Options) {
		ctx, m := soon(t), monitor.New(o)
		ok(t, m.Update(ctx, monitor.Put("a1", 1), monitor.Put("b", 1)))
		var got []string
		for msg, err := range m.Watch(ctx, "a*") {
			ok(t, err)
			text := msg.Key + "=" + string(msg.JSON)
			if msg.Deleted {
				text = msg.Key + " is gone"
			}
			got = append(got, text)
			switch len(got) {
			case 1:
				ok(t, monitor.Set(ctx, m, "a2", []string{"x"}))
			case 2:
				ok(t, m.Delete(ctx, "a1"))
			}
			if len(got) == 3 {
				break
			}
		}
		if want := []string{"a1=1", `a2=["x"]`, "a1 is gone"}; !reflect.DeepEqual(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		for msg, err := range m.Watch(ended) {
			if !errors.Is(err, context.Canceled) || msg.Rev != 0 {
				t.Errorf("got %v, %v", msg, err)
			}
		}
	})
}

// A lock that the caller holds already does not hold up his own changes, and holds up those of others.
//
// feature: N1, F20
func TestLocks(t *testing.T) {
	m := open(t, manager.Options{})
	own, err := m.NewLock(t.Context(), manager.LockOptions{Name: "own", Kind: manager.ReadWrite})
	ok(t, err)
	defer own.Close()
	elsewhere := open(t, manager.Options{})
	for name, o := range map[string]monitor.Options{
		"the manager's": {Manager: m, Lock: m.Lock()},
		"as another":    {Manager: m, Lock: m.Lock().As(m.Operator())},
		"its own":       {Manager: m, Lock: own},
		"another's":     {Manager: m, Lock: elsewhere.Lock()},
		"alone":         {Lock: elsewhere.Lock()},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, mon := soon(t), monitor.New(o)
			ok(t, monitor.Set(ctx, mon, "k", 1)) // fault 20
			ok(t, o.Lock.Acquire(ctx))
			ok(t, monitor.Set(ctx, mon, "k", 2))
			short, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			o2 := o
			o2.Lock = o.Lock.As(o.Lock.Operator())
			if err := monitor.Set(short, monitor.New(o2), "k", 3); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a change while another holds the lock: %v", err)
			}
			ok(t, o.Lock.Release(ctx))
			ok(t, mon.Clear(ctx))
		})
	}
	if err := monitor.Set(t.Context(), monitor.New(monitor.Options{Lock: &manager.Lock{}}), "k", 1); !errors.Is(err, manager.ErrClosed) {
		t.Errorf("with a zero lock: %v", err)
	}
}

func TestZeroMonitor(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, m := range []*monitor.Monitor{nil, {}} {
		_, getErr := monitor.Get[int](ctx, m, "k")
		_, lenErr := m.Len(ctx)
		_, marshalErr := m.Marshal(ctx)
		for _, err := range []error{getErr, lenErr, marshalErr, m.Update(ctx), m.Delete(ctx, "k"), m.Clear(ctx), m.Unmarshal(ctx, nil)} {
			if !errors.Is(err, manager.ErrClosed) || !strings.Contains(err.Error(), "New") {
				t.Errorf("got %v", err)
			}
		}
		for _, err := range m.Watch(ctx) {
			if !errors.Is(err, manager.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	}
}

// What CopyMsg has copied is shown as it is, or named.
//
// feature: N1
func TestCopiedValues(t *testing.T) {
	type odd struct{ C complex128 }
	ctx, m := soon(t), open(t, manager.Options{})
	ok(t, m.Update(ctx, manager.Put("f", []float32{1}), manager.Put("s", "x"), manager.Put("st", struct{ N int }{1})))
	ok(t, m.CopyMsg(ctx))
	mon := monitor.New(monitor.Options{Manager: m})
	all, err := mon.Messages(ctx)
	ok(t, err)
	if got := string(all["f"].JSON) + string(all["s"].JSON) + string(all["st"].JSON); got != `{"$array":"float32","shape":[1],"data":[1]}"x"{"N":1}` {
		t.Error(got)
	}
	if f, err := monitor.Get[[]float32](ctx, mon, "f"); err != nil || f[0] != 1 {
		t.Errorf("got %v, %v", f, err)
	}
	ok(t, manager.Set(ctx, m, "odd", odd{1}))
	ok(t, m.CopyMsg(ctx))
	if _, err := mon.Messages(ctx); !errors.Is(err, monitor.ErrType) || !strings.Contains(err.Error(), `"odd"`) {
		t.Errorf("got %v", err)
	}
}
