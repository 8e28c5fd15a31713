// Heartjump is the original's section 2.5.1: each of ten rows has a heartbeat while it appends 0 to 99, as an array of one number, to the manager's
// queue. No row stops the guard: it ends by itself once all of them have ended. The object's value then is 49500, as an array.
//
// Where the original differs: its beat is a queued call every second, and a process that died was noticed when its beats stayed away. Here the manager
// holds on to the process itself.
//
//	go run ./examples/original/heartjump
//
// feature: G1, G3, X5
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// V is the class.
type V struct{ Value []int }

func (v *V) Add(_ context.Context, value []int) (bool, error) {
	for i, n := range value {
		v.Value[i] += n
	}
	return true, nil
}

func (v *V) Get(context.Context, struct{}) ([]int, error) { return v.Value, nil }

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
	beat, err := m.Heartbeat(ctx, manager.HeartbeatOptions{Every: time.Second})
	if err != nil {
		return false, err
	}
	v, err := manager.Find[V](ctx, m, "v")
	if err != nil {
		return false, err
	}
	for i := range 100 {
		if _, err := add.Append(ctx, v, []int{i}); err != nil {
			return false, err
		}
	}
	return true, beat.Stop()
})

func main() {
	xme.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "heartjump:", err)
		os.Exit(1)
	}
}
