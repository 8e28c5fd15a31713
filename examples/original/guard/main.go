// Guard is the original's section 2.5: ten rows append a hundred calls each to the manager's queue, and a guard beside them runs these one at a time,
// in order. Every row ends by appending, through the table of built-in functions, that the guard stop. The object's value then is 1000.
//
// Where the original differs: its guard is given to gfun, and its status was not to be changed as its text says, so that the guard ended by its idle
// limit, if at all. Here a stop that a row appends takes effect once all rows of the table have ended, so that no call is lost.
//
//	go run ./examples/original/guard
//
// feature: G1, G2, X3, X4
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// V is the class.
type V struct{ Value int }

func (v *V) Add(_ context.Context, value int) (bool, error) { v.Value += value; return true, nil }
func (v *V) Get(_ context.Context, _ struct{}) (int, error) { return v.Value, nil }

var (
	add = manager.Method("add", (*V).Add)
	get = manager.Method("get", (*V).Get)
)

var fun = xme.Register("fun", func(ctx context.Context, m *manager.Manager) (bool, error) {
	op, err := m.NewOperator(ctx)
	if err != nil {
		return false, err
	}
	m = m.As(op)
	v, err := manager.Find[V](ctx, m, "v")
	if err != nil {
		return false, err
	}
	for range 100 {
		if _, err := add.Append(ctx, v, 1); err != nil {
			return false, err
		}
	}
	stop := manager.Put(manager.GuardKey, manager.GuardState{Status: false})
	_, err = m.Queue().Append(ctx, manager.Builtin{Name: "Table::update", Changes: []manager.Change{stop}})
	return err == nil, err
})

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		os.Exit(1)
	}
}
