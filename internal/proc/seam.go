package proc

import (
	"context"
	"reflect"
)

type backendKey struct{}

// WithBackend makes pools that are opened under the context use b instead of
// processes: the seam through which xmetest opens in-process pools.
func WithBackend(ctx context.Context, b Backend) context.Context {
	return context.WithValue(ctx, backendKey{}, b)
}

// BackendFrom returns the backend of WithBackend, nil if there is none.
func BackendFrom(ctx context.Context) Backend {
	b, _ := ctx.Value(backendKey{}).(Backend)
	return b
}

// Kind is what is special about a pool that package mpi opens.
type Kind struct {
	// Mortal: a rank whose process dies is retired, and not given another.
	Mortal bool
	// Main: rank 0 is the program that opens the pool.
	Main bool
	// Retired, if not nil, is told of each rank that is retired. It must not block, nor call the pool.
	Retired func(rank int)
}

// TaskKey is the key under which the context of a task in a worker, and those made of it, have that context itself.
type TaskKey struct{}

type kindKey struct{}

// WithKind makes pools that are opened under the context of that kind.
func WithKind(ctx context.Context, k Kind) context.Context {
	return context.WithValue(ctx, kindKey{}, k)
}

// WithoutReplacement has pools that are opened under the context not replace a process
// that dies: its rank is retired, which retired, if it is not nil, is told.
func WithoutReplacement(ctx context.Context, retired func(rank int)) context.Context {
	k := KindFrom(ctx)
	k.Mortal, k.Retired = true, retired
	return WithKind(ctx, k)
}

// KindFrom returns the kind of WithKind, the zero value if there is none.
func KindFrom(ctx context.Context) Kind {
	k, _ := ctx.Value(kindKey{}).(Kind)
	return k
}

// What package xme lends to xmetest and manager, and others to each other; set by their init functions.
var (
	// KillRank ends the process of a rank of a *xme.Pool.
	KillRank func(pool any, rank int) error
	// CancelAll ends what a *xme.Pool has accepted, with err as why.
	CancelAll func(pool any, err error)
	// OpenRanks returns the ranks of a *xme.Pool that take calls: see Pool.OpenRanks.
	OpenRanks func(pool any) []int
	// PoolOf returns the *xme.Pool that an executor of package mpi hands its calls to as they are, nil if it has none; nil until that package is there.
	PoolOf func(on any) any
	// RefusalOf returns why an executor of package mpi takes no calls, nil if it does or is none; nil until that package is there.
	RefusalOf func(on any) error
	// NewInProcess makes a backend whose workers run in this process.
	NewInProcess func() *InProcess
	// MethodFailed makes the *xme.Error of a method of a shared object: cause is an xme.Cause; without a text it is err's.
	MethodFailed func(name string, cause int, text, stack string, err error) error
	// Pulled reports whether who waits for a *xme.Call will Pull.
	Pulled func(call any) bool
	// RevisionsOf returns those of keys that a *monitor.Monitor has, with the revision of each, whether or not its message can be shown; nil until that package is there.
	RevisionsOf func(ctx context.Context, monitor any, keys []string) (map[string]uint64, error)
	// ResultOf returns the type of a registered function's results.
	ResultOf func(name string) (reflect.Type, error)
)

// What package manager lends to monitor, so that this need not name the types of what it shows; set by its init function. A value is a manager.Value, a change a
// manager.Change. Errors are those of manager.As, and of the methods of lists and maps.
var (
	// PutAny is manager.Put of a value of any type.
	PutAny func(key string, v any) (change any)
	// ValueAs returns a value as the type that it was stored as.
	ValueAs func(value any, t reflect.Type) (any, error)
	// ElementsOf returns what a list, or a map with strings as keys, of elements of type t holds, the handle of which is the value: a slice or a map.
	ElementsOf func(ctx context.Context, value any, t reflect.Type, isMap bool) (any, error)
)

// A Puller is an executor that has the ends of calls be fetched by who waits for them, as far as Pulled says that somebody will.
type Puller interface {
	// Pull fetches ends until done is closed, or ctx ends. An error says that to wait would be for ever.
	Pull(ctx context.Context, done <-chan struct{}) error
}

// A Guard is the argument of a service that guards the rows of its table: it outlives them, and returns once it is told that they have ended. It is begun
// again however often its process dies, as far as its retries go.
type Guard interface {
	// Named returns the argument with an identity, which its processes have one after the other; it may have one.
	Named() any
	// OfTable returns the argument for a table with other rows, before any of them begins, in the driver.
	OfTable(ctx context.Context) any
	// Failed says, from the driver, that it has failed for good.
	Failed(ctx context.Context)
	// TableEnded tells it, from the driver, perhaps again and again.
	TableEnded(ctx context.Context) error
}
