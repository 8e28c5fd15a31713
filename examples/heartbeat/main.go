// Heartbeat has ten tasks append calls to a queue, each as an operator of its own, with a heartbeat for as long as it does so. The manager knows by it
// who lives: a task that was killed would be noticed at once, and the guard does not end for being idle while a heart beats.
//
//	go run ./examples/heartbeat
//
// feature: G3
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// V is the object, an array.
type V struct{ Value []int }

// Add adds an array, number by number.
func (v *V) Add(_ context.Context, a []int) (struct{}, error) {
	if len(a) != len(v.Value) {
		return struct{}{}, fmt.Errorf("an array of %d, want %d", len(a), len(v.Value))
	}
	for i, n := range a {
		v.Value[i] += n
	}
	return struct{}{}, nil
}

// Get returns the array.
func (v *V) Get(context.Context, struct{}) ([]int, error) { return v.Value, nil }

var (
	add = manager.Method("add", (*V).Add)
	get = manager.Method("get", (*V).Get)
)

// count appends 0 to 99. The heartbeat would end with the task if it were not stopped.
var count = xme.Register("count", func(ctx context.Context, m *manager.Manager) (_ struct{}, err error) {
	op, err := m.NewOperator(ctx)
	if err != nil {
		return struct{}{}, err
	}
	own := m.As(op)
	v, err := manager.Find[V](ctx, own, "v") // a handle of this operator's: it is who appends
	if err != nil {
		return struct{}{}, err
	}
	beat, err := own.Heartbeat(ctx, manager.HeartbeatOptions{Every: time.Second})
	if err != nil {
		return struct{}{}, err
	}
	for i := range 100 {
		if _, err := add.Append(ctx, v, []int{i}); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, beat.Stop()
})

func main() {
	xme.Init()
	flag.Parse()
	if err := run(context.Background(), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "heartbeat:", err)
		os.Exit(1)
	}
}
