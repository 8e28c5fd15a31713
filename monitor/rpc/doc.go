// Package rpc serves functions of the function table and the messages of a monitor to other hosts,
// and calls them there.
//
// A server exports functions, each with the executor that its calls run on. On a pool, a handler
// that panics, crashes or runs out of time costs its caller an error, and the server at most a
// worker:
//
//	var parse = xme.Register("parse", func(ctx context.Context, in Page) (Words, error) { … })
//
//	l, err := net.Listen("tcp", "127.0.0.1:7070")
//	…
//	err = rpc.Serve(ctx, l, []rpc.Function{rpc.Export(parse, pool)}, rpc.Plain())
//
// A client calls them, from any number of goroutines:
//
//	c, err := rpc.Dial(ctx, "http://127.0.0.1:7070", rpc.Plain())
//	…
//	defer c.Close()
//	words, err := rpc.Call[Page, Words](ctx, c, "parse", page)
//	for r := range rpc.Stream[Page, Words](ctx, c, "parse", pages) { … } // as they come
//
// Between hosts, TLS is required: see [WithTLS]. [Plain] is for this machine only.
//
// # At most once
//
// Each call of a client carries a mark: the server's life, the client's session, and a number. If a
// connection breaks, the client sends the call again with the same mark. The server keeps what
// runs, and how calls have ended until the client has the answer; so it runs the call once and
// tells how it ended. If it cannot tell, because it was restarted ([ErrRestarted]) or has discarded
// the outcome ([ErrForgotten]), the call fails and does not run again. If nobody answers, the
// client gives up after [WithRetry] with [ErrLost]; so does a call that is refused when it is sent
// again, and errors.Is then also finds the reason in the error. With these three errors it is
// unknown whether the call has run, as it is with [ErrClosed] and with the errors of its context,
// which end the wait for an answer. A call that had not been sent before continues in a new session
// by itself.
//
// When the context of a call ends, the server is told to cancel it. If it cannot be reached, the
// call is ended by its deadline, which is sent along, or by Limits.Linger.
//
// # Values
//
// Arguments and results are JSON, as encoded by encoding/json. A server refuses fields that the
// argument's type does not have. Within any, on both sides, numbers are int64 if they are whole,
// uint64 if only that can hold them, and float64 otherwise.
//
// # Errors
//
// Calls fail with an [*Error]. errors.Is finds in it the kinds of this package, those of package
// xme (xme.ErrTimeout, xme.ErrWorkerLost, …), context.DeadlineExceeded, and errors that both
// programs register with xme.RegisterError; errors.As finds the *xme.Error. Stacks and output of
// workers stay in the server's log.
//
// # Messages
//
// With [WithMonitor] a server also serves the messages of a monitor: [Client.Update],
// [Client.Messages] and [Client.Subscribe]; [Client.Push] and [Client.Pull] carry them sealed.
//
// Servers speak HTTP/1.1 and HTTP/2 with the Connect, gRPC and gRPC-Web protocols. docs/rpc.md
// describes how to call them from other languages and from curl.
package rpc
