package main

import (
	"context"
	"errors"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// variables are what all rows share.
type variables struct {
	Value  *shm.Value[int]
	Array  *shm.Array[int]
	Lock   *shm.Mutex // the array's
	Queue  *shm.Queue[int]
	List   *manager.List[int]
	Map    *manager.Map[int, string]
	Object *manager.Object[Class]
}

// row is a row's argument.
type row struct {
	Variables variables
	B         int
}

func newVariables(ctx context.Context, m *manager.Manager) (v variables, err error) {
	var errs [7]error
	v.Value, errs[0] = shm.NewValue(0)
	v.Array, errs[1] = shm.NewArray[int](2)
	v.Lock, errs[2] = shm.NewMutex()
	v.Queue, errs[3] = shm.NewQueue[int](11)
	v.List, errs[4] = manager.NewList[int](ctx, m, "")
	v.Map, errs[5] = manager.NewMap[int, string](ctx, m, "")
	v.Object, errs[6] = manager.ShareNew(ctx, m, "", newClass, 0)
	return v, errors.Join(errs[:]...)
}

func (v variables) close() {
	_ = errors.Join(v.Value.Close(), v.Array.Close(), v.Lock.Close(), v.Queue.Close())
}

// funa uses each of them.
var funa = xme.Register("funa", func(ctx context.Context, r row) (int, error) {
	v := r.Variables
	shm.Add(v.Value, r.B)
	return 0, errors.Join(
		v.Lock.Do(ctx, func(*shm.OwnerDiedError) error {
			v.Array.Slice()[0]++
			v.Array.Slice()[1] += r.B
			return nil
		}),
		v.Queue.Put(ctx, r.B),
		v.List.Append(ctx, r.B),
		v.Map.Set(ctx, r.B%3, "key"),
		addOne(ctx, v.Object))
})

func addOne(ctx context.Context, o *manager.Object[Class]) error {
	_, err := add.Call(ctx, o, 1)
	return err
}
