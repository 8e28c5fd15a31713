package manager_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// tryQueue tries what needs no guard.
func tryQueue(ctx context.Context, m *manager.Manager, c *check) {
	o, err := manager.ShareNew(ctx, m, "", newCounter, 0)
	c.ok(err)
	q := m.Queue()
	ran, err := q.Exec(ctx)
	c.ok(err)
	c.equal(ran, false)
	first, err := add.Append(ctx, o, 1)
	c.ok(err)
	second, err := odd.Append(ctx, o, 3)
	c.ok(err)
	third := double.Go(ctx, q, 21)
	n, err := q.Len(ctx)
	c.ok(err)
	c.equal(n, 3)
	for range 3 {
		ran, err := q.Exec(ctx)
		c.ok(err)
		c.equal(ran, true)
	}
	got, err := first.Wait(ctx)
	c.ok(err)
	c.equal(got, 1)
	_, err = second.Wait(ctx)
	c.is(err, errOdd, "3")
	got, err = third.Wait(ctx)
	c.ok(err)
	c.equal(got, 42)
	for i := range 3 {
		r, err := q.Result(ctx)
		c.ok(err)
		c.equal(r.Call, uint64(i+1))
		if i == 1 {
			c.is(r.Err, errOdd)
			continue
		}
		v, err := manager.As[int](r.Value)
		c.ok(err)
		c.equal(v, []int{1, 0, 42}[i])
	}
}

var double = xme.Register("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

// feature: X4
func TestQueue(t *testing.T) { everywhere(t, "queue") }

type appendCall struct {
	M *manager.Manager
	O *manager.Object[counter]
	N int
}

var appender = xme.Register("appender", func(ctx context.Context, in appendCall) (int, error) {
	for range in.N {
		if _, err := add.Append(ctx, in.O, 1); err != nil {
			return 0, err
		}
	}
	_, err := in.M.Queue().Append(ctx, manager.Builtin{Name: "Table::update", Changes: []manager.Change{manager.Put(manager.GuardKey, manager.GuardState{})}})
	return in.N, err
})

// The original's example: ten rows append a hundred calls each and then stop the guard, which nevertheless runs all.
// feature: G1, F18, X3
func TestGuardOfATable(t *testing.T) {
	for _, process := range []bool{false, true} {
		for form, on := range forms {
			t.Run(fmt.Sprintf("%s, process %v", form, process), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				m := openWith(t, manager.Options{Process: process})
				o, err := manager.ShareNew(ctx, m, "", newCounter, 0)
				must(t, err)
				var table xme.Table
				rows := appender.Add(&table, xme.Repeat(10, appendCall{m, o, 100}))
				guard := manager.Guard.Add(&table, xme.Repeat(1, manager.GuardCall{Manager: m}))
				must(t, table.Run(ctx, on(t)))
				_, err = rows.Values()
				must(t, err)
				reports, err := guard.Values()
				must(t, err)
				if len(reports) != 1 || reports[0].Calls != 1010 || reports[0].Ended != "stopped" {
					t.Errorf("the guard reports %+v", reports)
				}
				if n, err := add.Call(ctx, o, 0); n != 1000 || err != nil {
					t.Errorf("%d, %v; want 1000", n, err)
				}
				if _, err := add.Append(ctx, o, 1); !errors.Is(err, manager.ErrGuardStopped) {
					t.Errorf("afterwards: %v", err)
				}
			})
		}
	}
}
