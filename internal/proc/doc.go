// Package proc owns the worker processes of a pool: it starts them, shakes hands,
// hands them rows, notices their end, reaps and replaces them.
//
// A [Backend] starts workers: [Exec] as operating-system processes, [InProcess] as
// goroutines behind the same frames. [Pool] queues rows and dispatches them top to
// bottom; [Work] is a worker's main loop.
//
// The files of a pool: pool.go its life and Submit, queue.go where rows wait, dispatch.go
// who gets which, events.go what workers say, ends.go how they end and are tried again; seat.go ranks, spares and
// starts, worker.go one process, death.go its end, ladder.go the clocks of a row that
// shall end, lookout.go what is looked at while processes are busy, stall.go rows
// behind a slow one, nest.go calls that tasks make, depth.go those that can never run,
// retire.go ranks that are taken out of service; lane.go, await.go and read.go who reads results, result.go
// and share.go memory that rows name, account.go what is counted, relay.go and output.go what workers print.
//
// The states of a worker:
//
//	          process up             handshake, setup          a rank, or a row
//	Starting ────────────► Greeting ──────────────────► Ready ───────────────► Idle ◄──► Busy
//	   │                       │                          │                     │         │
//	   └─ not started ─────────┴──────────────────────────┴─── died, or bye ────┴─────────┘
//	                                          │
//	                                        gone: its seat, if it had one, is filled
package proc
