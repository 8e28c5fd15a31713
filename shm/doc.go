// Package shm provides memory that a driver and its workers share: large data that is
// handed over without being copied, and small objects through which tasks that run at the
// same time work together.
//
//	[Array]  elements of one type, filled and read in place by all who have it
//	[View]   a slice that a call borrows, to read
//	[Value]  one value, read and changed as a whole
//	[Queue]  items from many to many, bounded
//	[Pipe]   a connection with two ends
//
//	[Mutex], [RWMutex], [Semaphore], [Cond], [Event], [Barrier]
//	         by which tasks agree who does what when, even when some of them die
//
// All of them can be fields of ordinary arguments and results; a program:
//
//	type part struct {
//		Data   *shm.Array[float64]
//		Lo, Hi int
//	}
//
//	var double = xme.Register("double", func(ctx context.Context, p part) (int, error) {
//		s := p.Data.Slice()[p.Lo:p.Hi]
//		for i := range s {
//			s[i] *= 2
//		}
//		return len(s), nil
//	})
//
//	func main() {
//		xme.Init()
//		…
//		data, err := shm.NewArray[float64](1_000_000)
//		…
//		defer data.Close()
//		for _, err := range double.Map(ctx, pool, parts(data)) { … } // in place
//	}
//
// # Lifetime
//
// Whoever makes a handle must close it. A call that was handed one keeps it, and with it
// the memory, until the call ends, whatever becomes of the maker's handle. In a task it
// is valid until the task returns; Retain keeps it for later tasks of that worker, for
// example in a setup function, if all tasks need it. What a task makes and returns is the
// caller's to close; what it makes and does not return remains its own, and if it forgets
// to close it, it stays in the worker. Results that nobody looks at, such as those of a
// Map that was left early, are nobody's to close, and stay until the driver ends. Nothing
// has a name in a file system, and nothing is left when processes are killed: memory ends
// with the last process that maps it.
//
// A slice kept for longer than that shows whatever comes to lie there next, or ends the
// process that touches it; the elements passed by Array.Use cannot be outlived.
//
// # Safety
//
// Elements hold no pointers. A call's writes to an array are visible once its result is
// there; tasks that run at the same time write parts of their own, or coordinate by a
// Value, a Queue or a Mutex. A worker that is killed leaves values and queues whole; an
// array that it was writing is left as far as it had come, and whoever next gets a mutex
// it held is told so. An array handed over by ReadOnly, and a View, cannot be written
// there: the kernel enforces that, and the task fails with an error that says so. All
// processes of a pool run the same program as the same user: this guards against
// mistakes, not against attackers.
//
// # Costs
//
// A call that hands an array over takes about a fifth longer than one with an int,
// whatever the array's size. An array's memory is taken from the system when it is made,
// so that lack of memory is an error there and then (it wraps xme.ErrMemory), and is used
// again for the next array of about the same size; Options.Shared bounds what a pool's
// calls and tasks use. Each array, value, queue and pipe takes a descriptor in each
// process that has it: instead of thousands, make one and hand over parts. A result, or
// an argument of a call made by a task, can hand over at most 250. On Windows the memory
// is a mapping without a name, on macOS an unlinked file; there, whoever waits in a queue
// or for a lock looks again after a millisecond, or after longer if many wait.
//
// Taking and releasing a free mutex takes 20 to 50 ns. A waiter spins for some
// microseconds, then sleeps. Up to four waiting goroutines of a process take a thread
// each; the others share one thread per hundred (Linux 5.16 or newer).
//
// Links that carry descriptors also carry shared memory: all but the pipes of Unix
// systems (xme.LinkPipe), and executors of others. There, a call ends with an error that
// wraps errors.ErrUnsupported.
package shm
