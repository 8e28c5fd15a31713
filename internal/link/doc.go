// Package link moves calls between a driver and one worker.
//
// A [Conn] carries frames both ways: over a socket or pipes ([NewConn]), or
// inside one process ([Pair]). Beside it, on Linux, a [Lane] carries rows and results
// through memory that both map, and [Segments] big values. [Flight] is the driver's record of the rows on one
// link, and the only code that changes their state. [Serve] is the worker's side:
// one goroutine reads frames and answers recalls while another runs rows.
//
// The states of a row on a link, and the frames that change them:
//
//	         call                start              result, fail
//	(queued) ────► [Sent] ────────────► [Started] ──────────────► (ended)
//	                 │ recalled
//	                 └────────► (queued again, or ended if cancelled)
//
// When a link is lost, the started row is the one that is charged with it; rows
// merely sent go back to the queue.
package link
