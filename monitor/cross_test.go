package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/xmetest"
)

// forms are the executors whose tasks a monitor must serve alike.
var forms = map[string]func(t *testing.T) xme.Executor{
	"inline":     func(*testing.T) xme.Executor { return xme.Inline() },
	"in process": func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: 2}) },
	"processes":  func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 2}) },
}

type point struct{ X, Y int }

type unheard struct{ X int }

var _ = monitor.Element[point]()

type shelf struct {
	Mon  *monitor.Monitor
	List *manager.List[point]
}

var use = xme.Register("use", func(ctx context.Context, in shelf) (string, error) {
	l, err := monitor.Get[*manager.List[point]](ctx, in.Mon, "points")
	if err != nil {
		return "", err
	}
	if err := l.Append(ctx, point{3, 4}); err != nil {
		return "", err
	}
	if err := monitor.Set(ctx, in.Mon, "points", "replaced"); err != nil {
		return "", err
	}
	all, err := in.List.Slice(ctx, 0, -1)
	return fmt.Sprint(all), err
})

// feature: N1
func TestSharedListsAndMaps(t *testing.T) {
	for form, on := range forms {
		t.Run(form, func(t *testing.T) {
			ctx, m := soon(t), open(t, manager.Options{})
			mon := monitor.New(monitor.Options{Manager: m})
			points, err := manager.NewList(ctx, m, "", point{1, 2})
			ok(t, err)
			counts, err := manager.NewMap[string, []float64](ctx, m, "")
			ok(t, err)
			ok(t, counts.Set(ctx, "a", []float64{1}))
			ok(t, mon.Update(ctx, monitor.Put("points", points), monitor.Put("counts", counts), monitor.Put[any]("again", points)))
			all, err := mon.Messages(ctx)
			ok(t, err)
			got := string(all["points"].JSON) + string(all["counts"].JSON) + string(all["again"].JSON)
			if want := `[{"X":1,"Y":2}]{"a":{"$array":"float64","shape":[1],"data":[1]}}[{"X":1,"Y":2}]`; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			text, err := use.Call(ctx, on(t), shelf{mon, points})
			if err != nil || text != "[{1 2} {3 4}]" {
				t.Errorf("got %s, %v", text, err)
			}
			if s, err := monitor.Get[string](ctx, mon, "points"); s != "replaced" || err != nil {
				t.Errorf("got %q, %v", s, err)
			}
			if n, err := points.Len(ctx); n != 2 || err != nil {
				t.Errorf("the replaced list has %d elements, %v", n, err)
			}
			if back, err := monitor.Get[[]point](ctx, mon, "again"); err != nil || !reflect.DeepEqual(back, []point{{1, 2}, {3, 4}}) {
				t.Errorf("got %v, %v", back, err)
			}
			if _, err := monitor.Get[*manager.List[int]](ctx, mon, "again"); !errors.Is(err, monitor.ErrType) {
				t.Errorf("as another list: got %v", err)
			}
		})
	}
}

// feature: N1
func TestListsThatAreRefused(t *testing.T) {
	t.Parallel()
	ctx, m := soon(t), open(t, manager.Options{})
	mon := monitor.New(monitor.Options{Manager: m})
	odd, err := manager.NewList[unheard](ctx, m, "")
	ok(t, err)
	ints, err := manager.NewList[int](ctx, m, "")
	ok(t, err)
	keyed, err := manager.NewMap[int, int](ctx, m, "")
	ok(t, err)
	for name, tc := range map[string]struct {
		err  error
		says []string
	}{
		"element": {monitor.Set(ctx, mon, "k", odd), []string{`"k"`, "var _ = monitor.Element[monitor_test.unheard]()"}},
		"keys":    {monitor.Set(ctx, mon, "k", keyed), []string{`"k"`, "keys of type int"}},
		"alone":   {monitor.Set(ctx, monitor.New(monitor.Options{}), "k", ints), []string{`"k"`, "Options.Manager"}},
		"put by others": {func() error {
			if err := manager.Set(ctx, m.Messages(), "k", odd); err != nil {
				return err
			}
			_, err := mon.Messages(ctx)
			return err
		}(), []string{`"k"`, "unheard", "monitor.Element"}},
		"released": {func() error {
			if err := monitor.Set(ctx, mon, "k", ints); err != nil {
				return err
			}
			if err := ints.Release(ctx); err != nil {
				return err
			}
			_, err := mon.Marshal(ctx)
			if !errors.Is(err, manager.ErrReleased) {
				t.Errorf("got %v", err)
			}
			return err
		}(), []string{`"k"`}},
	} {
		for _, s := range tc.says {
			if tc.err == nil || !strings.Contains(tc.err.Error(), s) {
				t.Errorf("%s: %v does not say %q", name, tc.err, s)
			}
		}
	}
}

// A process that has never used a list of such elements shows it.
//
// feature: N1
func TestShownInAnotherProcess(t *testing.T) {
	t.Parallel()
	ctx, m := soon(t), open(t, manager.Options{Process: true})
	mon := monitor.New(monitor.Options{Manager: m})
	l, err := manager.NewList(ctx, m, "", point{1, 2})
	ok(t, err)
	ok(t, monitor.Set(ctx, mon, "l", l))
	text, err := shown.Call(ctx, xmetest.Open(t, xme.Options{Workers: 1}), mon)
	if err != nil || text != `[{"X":1,"Y":2}]` {
		t.Errorf("got %s, %v", text, err)
	}
}

var shown = xme.Register("shown", func(ctx context.Context, mon *monitor.Monitor) (string, error) {
	all, err := mon.Messages(ctx)
	return string(all["l"].JSON), err
})

var marshal = xme.Register("marshal", func(ctx context.Context, mon *monitor.Monitor) ([]byte, error) {
	return mon.Marshal(ctx)
})

// feature: N1, N2
func TestCrosses(t *testing.T) {
	for form, on := range forms {
		t.Run(form, func(t *testing.T) {
			ctx, m := soon(t), open(t, manager.Options{})
			o := monitor.Options{Manager: m, Keys: monitor.NewKeys(monitor.NewKey()), Context: "there", Lock: m.Lock()}
			mon := monitor.New(o)
			ok(t, monitor.Set(ctx, mon, "k", []int8{1}))
			sealed, err := marshal.Call(ctx, on(t), mon)
			ok(t, err)
			there := monitor.New(monitor.Options{Keys: o.Keys, Context: "there"})
			ok(t, there.Unmarshal(ctx, sealed))
			if got, err := monitor.Get[[]int8](ctx, there, "k"); err != nil || len(got) != 1 {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	_, err := marshal.Call(t.Context(), pool, monitor.New(monitor.Options{}))
	if !errors.Is(err, xme.ErrEncode) || !strings.Contains(err.Error(), "Options.Manager") {
		t.Errorf("a monitor without a manager: got %v", err)
	}
}

// sealOwn makes a monitor of the task's own, and seals by the inherited key; deeper, by a task of a pool of the task's own.
var sealOwn *xme.Func[int, []byte]

func init() {
	sealOwn = xme.Register("sealOwn", func(ctx context.Context, deeper int) ([]byte, error) {
		if deeper > 0 {
			pool, err := xme.Open(ctx, xme.Options{Workers: 1})
			if err != nil {
				return nil, err
			}
			defer pool.Close()
			return sealOwn.Call(ctx, pool, deeper-1)
		}
		m, err := manager.Open(ctx, manager.Options{})
		if err != nil {
			return nil, err
		}
		defer m.Close()
		mon := monitor.New(monitor.Options{Manager: m, Context: "inherited"})
		if err := monitor.Set(ctx, mon, "k", 7); err != nil {
			return nil, err
		}
		return mon.Marshal(ctx)
	})
}

// feature: N2, U7
func TestInheritedKey(t *testing.T) {
	ctx := soon(t)
	for form, on := range forms {
		if form == "inline" {
			continue
		}
		pool := on(t)
		for deeper := range 2 {
			t.Run(fmt.Sprint(form, deeper), func(t *testing.T) {
				sealed, err := sealOwn.Call(ctx, pool, deeper)
				ok(t, err)
				mon := monitor.New(monitor.Options{Context: "inherited", Window: time.Hour})
				ok(t, mon.Unmarshal(ctx, sealed))
				if n, err := monitor.Get[int](ctx, mon, "k"); n != 7 || err != nil {
					t.Errorf("got %d, %v", n, err)
				}
				other := monitor.New(monitor.Options{Context: "inherited", Keys: monitor.NewKeys(monitor.NewKey())})
				if err := other.Unmarshal(ctx, sealed); !errors.Is(err, monitor.ErrKey) {
					t.Errorf("with another key: got %v", err)
				}
				foreign, err := monitor.Sealer{Keys: monitor.NewKeys(monitor.NewKey())}.Seal([]byte("{}"))
				ok(t, err)
				if err := mon.Unmarshal(ctx, foreign); !errors.Is(err, monitor.ErrKey) || !strings.Contains(err.Error(), "in common") {
					t.Errorf("sealed with another key: got %v", err)
				}
			})
		}
	}
}
