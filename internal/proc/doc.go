// Package proc owns the worker processes of a pool: it starts them, shakes hands,
// hands them rows, notices their end, reaps and replaces them.
//
// A [Backend] starts workers: [Exec] as operating-system processes, [InProcess] as
// goroutines behind the same frames. [Pool] queues rows and dispatches them top to
// bottom; [Work] is a worker's main loop.
//
// The states of a worker:
//
//	          process up             handshake, setup
//	Starting ────────────► Greeting ──────────────────► Ready ◄──► Busy
//	   ▲  ▲                    │                          │          │
//	   │  └──── start failed ──┘                          │ link ended, process died
//	   └───────────────── replaced, same rank ────────────┴──────────┘
//	any ──► Ended (the pool is closed)
package proc
