// Package drain has a context carry the beginning of an orderly end: no more work shall
// begin under it, what runs goes on.
package drain

import "context"

type key struct{}

// With returns a context under which nothing shall begin once d has ended, whose cause says why.
func With(ctx, d context.Context) context.Context { return context.WithValue(ctx, key{}, d) }

// Of returns the context of With, nil if there is none.
func Of(ctx context.Context) context.Context {
	d, _ := ctx.Value(key{}).(context.Context)
	return d
}
