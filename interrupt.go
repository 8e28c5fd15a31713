package xme

import "context"

// Interruptible returns a context for work that the user may stop with Ctrl-C:
// the first lets no more rows start, the second ends the context, the third the
// process. It is not built yet: the context has ended already, with a cause that
// wraps errors.ErrUnsupported.
func Interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	cancel(unsupported("Interruptible"))
	return ctx, func() { cancel(nil) }
}
