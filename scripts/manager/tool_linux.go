package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// tool is an object that does not cross.
type tool struct {
	n    int
	self chan struct{}
}

func (t *tool) Add(_ context.Context, n int) (int, error) {
	t.n += n
	return t.n, nil
}

func (t *tool) Echo(_ context.Context, b []byte) ([]byte, error) { return b, nil }

func (t *tool) PID(context.Context, struct{}) (int, error) { return os.Getpid(), nil }

// Fill writes to an array.
func (t *tool) Fill(_ context.Context, a *shm.Array[int64]) (int, error) {
	a.Slice()[0]++
	return a.Len(), nil
}

// Heap returns how much memory is in use where it lives.
func (t *tool) Heap(context.Context, struct{}) (uint64, error) { return heap(), nil }

func heap() uint64 {
	debug.FreeOSMemory()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

var (
	newTool  = manager.Constructor("new", func(_ context.Context, n int) (*tool, error) { return &tool{n: n, self: make(chan struct{})}, nil })
	toolAdd  = manager.Method("add", (*tool).Add)
	toolEcho = manager.Method("echo", (*tool).Echo)
	toolPID  = manager.Method("pid", (*tool).PID)
	toolFill = manager.Method("fill", (*tool).Fill)
	toolHeap = manager.Method("heap", (*tool).Heap)
)

// useOnce calls an object once.
var useOnce = xme.Register("once", func(ctx context.Context, o *manager.Object[tool]) (int, error) { return toolAdd.Call(ctx, o, 1) })
