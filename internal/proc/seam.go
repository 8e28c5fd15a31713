package proc

import "context"

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

// What package xme lends to xmetest and manager; set by its init function.
var (
	// KillRank ends the process of a rank of a *xme.Pool.
	KillRank func(pool any, rank int) error
	// NewInProcess makes a backend whose workers run in this process.
	NewInProcess func() *InProcess
	// MethodFailed makes the *xme.Error of a method of a shared object: cause is an xme.Cause; without a text it is err's.
	MethodFailed func(name string, cause int, text, stack string, err error) error
)
