// Package manager keeps what the processes of a program share and agree on: objects whose methods any of them calls, tables of values, lists and
// maps, locks of five kinds with operators who are entitled to them, and a queue of calls that are run one at a time.
//
//	[Manager]                 a handle on all of it, in the driver, in a worker, or in a process of its own
//	[Object], [Method]        a value of any type, and how its methods are called
//	[Set], [Get], [Watch]     values by key, read with their types and waited for
//	[List], [Map]             of one type each
//	[Lock], [Operator]        who may do what, and who does
//	[Queue], [Guard]          calls that are done in order, whoever dies
//
// Handles are fields of ordinary arguments and results; a program, which the package's example runs whole:
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
// A manager lives in the process that opens it, or with Options.Process in one of its own. A call is a message there and one back through shared memory, about a microsecond, and no
// socket listens. What it holds ends with it, unless Options.Restart and [Manager.Keep] say otherwise. Locks are words in shared memory: to take one that is free is no message.
//
// # Who may do what
//
// Who opens a manager is ADMIN. [Manager.NewOperator] makes others, [Manager.As] is a handle that acts as one, and a handle takes its operator along to other processes. Changes of the
// tables take the manager's own lock: of kind [ReadWrite] unless set otherwise, so only its registered operator, at first ADMIN, makes them. An operator is a number that all may see and a
// secret that nothing shows.
//
// # When something dies
//
// What a task has called is done once, or not. A lock that it held goes to the next who waits, whose error wraps shm.ErrOwnerDied. What it has queued is run all the same.
// A queued function whose guard dies ends with [ErrGuardLost], calls of a manager that is gone with [ErrLost]: whether they were done is not known then.
//
// # Limits
//
// Operators keep mistakes apart, and what the manager's process checks holds against all; but who maps the memory of a lock can write to it. Where links carry no
// descriptors (pipes on Unix) a manager serves its own process only.
package manager
