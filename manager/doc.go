// Package manager keeps what the processes of a program share and agree on: objects whose methods
// any of them can call, tables of values, lists and maps, locks of five kinds with operators who
// are entitled to them, and a queue of calls that are run one at a time.
//
//	[Manager]                 a handle on all of it, in the driver, in a worker, or in a process of its own
//	[Object], [Method]        a value of any type, and how its methods are called
//	[Set], [Get], [Watch]     values by key, read with their types and waited for
//	[List], [Map]             of one type each
//	[Lock], [Operator]        who may do what, and who does
//	[Queue], [Guard]          calls that are done in order, whoever dies
//
// Handles are fields of ordinary arguments and results. A program, shown in full by the package's
// example:
//
//	type Purse struct{ Cents int }
//
//	func (p *Purse) Put(_ context.Context, cents int) (int, error) {
//		p.Cents += cents // no lock: calls on one object never overlap
//		return p.Cents, nil
//	}
//
//	var putIn = manager.Method("putIn", (*Purse).Put)
//
//	var collect = xme.Register("collect", func(ctx context.Context, purse *manager.Object[Purse]) (int, error) {
//		return putIn.Call(ctx, purse, 250) // from any process
//	})
//
//	func main() {
//		xme.Init()
//		…
//		m, err := manager.Open(ctx, manager.Options{})
//		…
//		defer m.Close()
//		purse, err := manager.Share(ctx, m, "purse", &Purse{})
//		…
//		for _, err := range collect.Map(ctx, pool, xme.Repeat(4, purse)) { … }
//	}
//
// # Where it lives
//
// A manager lives in the process that opens it or, with Options.Process, in one of its own. A call
// is a message there and one back through shared memory, one to two microseconds in all; no socket
// listens. What a manager holds ends with it, unless Options.Restart and [Manager.Keep] say
// otherwise. Locks are words in shared memory: taking one that is free needs no message.
//
// # Who may do what
//
// Whoever opens a manager is ADMIN. [Manager.NewOperator] makes other operators, [Manager.As]
// returns a handle that acts as one of them, and a handle takes its operator along to other
// processes. Changes of the tables take the manager's own lock: unless set otherwise it is of kind
// [ReadWrite], so that only its registered operator, at first ADMIN, can make them. An operator is
// a number that everyone may see and a secret that is never shown.
//
// # When something dies
//
// A call that a task has made is done once or not at all. A lock that the task held goes to the
// next waiter, whose error wraps shm.ErrOwnerDied. What it has queued is run nevertheless. A queued
// function whose guard dies ends with [ErrGuardLost], and calls of a manager that is gone with
// [ErrLost]: in both cases it is unknown whether they were done.
//
// # Limits
//
// Operators guard against mistakes. What the manager's process checks holds against everyone; but a
// process that maps the memory of a lock can write to it. Where links carry no descriptors (pipes
// on Unix), a manager serves only its own process.
package manager
