// Package rpc serves functions of the function table and a monitor's messages to other hosts, and calls them there.
//
// A server exports functions, each with the executor that its calls run on. On a pool a handler that panics, crashes or runs out of time costs its caller
// an error, and the server a worker at most:
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
// Between hosts it takes TLS, see [WithTLS]; [Plain] is for this machine only.
//
// # At most once
//
// Each call of a client carries a mark: the server's life, the client's session, a number. Where a connection breaks, the client sends the call again with
// the same mark, and the server, which keeps what runs and how calls have ended until the client has the answer, runs it once and tells how it ended. If
// it cannot tell, because it was started again ([ErrRestarted]) or has let go of the outcome ([ErrForgotten]), the call fails and does not run again. If
// nobody answers, the client gives up after [WithRetry] with [ErrLost]; so does a call that is refused when it is sent again, and errors.Is finds in that
// error also why. With these three errors it is unknown whether the call has run, and with [ErrClosed] and the errors of its context, which end the wait
// for an answer. A call that had not been sent before goes on in a new session by itself.
//
// When the context of a call ends, the server is told to cancel it; if that cannot reach it, the deadline, which goes along, or Limits.Linger ends the call.
//
// # Values
//
// Arguments and results are JSON, as encoding/json makes it. A server refuses fields that the argument's type does not have. Within any, numbers are int64
// where they are whole, uint64 where only that holds them, and float64 else, on both sides.
//
// # Errors
//
// Calls fail with an [*Error]. errors.Is finds this package's kinds in it, package xme's (xme.ErrTimeout, xme.ErrWorkerLost, …), context.DeadlineExceeded
// and errors that both programs register with xme.RegisterError; errors.As finds the *xme.Error. Stacks and output of workers stay in the server's log.
//
// # Messages
//
// With [WithMonitor] a server also serves a monitor's messages: [Client.Update], [Client.Messages], [Client.Subscribe]; [Client.Push] and [Client.Pull]
// carry them sealed.
//
// Servers speak HTTP/1.1 and HTTP/2 with the Connect, gRPC and gRPC-Web protocols. docs/rpc.md describes how other languages call them, curl among them.
package rpc
