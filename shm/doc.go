// Package shm is memory that a driver and its workers share: large data that is handed
// over without being copied, and small things through which tasks that run at the same
// time work together.
//
//	[Array]  elements of one type, filled and read in place by all who have it
//	[View]   a slice that a call borrows, to read
//	[Value]  one value, read and changed whole
//	[Queue]  items from many to many, bounded
//	[Pipe]   a connection of two ends
//
//	[Mutex], [RWMutex], [Semaphore], [Cond], [Event], [Barrier]
//	         by which tasks agree who does what when, also when some of them die
//
// All of them are fields of ordinary arguments and results; a program:
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
// # How long it lasts
//
// Who makes something closes it. A call that was handed it keeps it until it ends, and
// with it the memory, whatever becomes of the maker's handle. In a task it is valid until
// the task returns; Retain keeps it for later tasks of that worker, as a set-up function
// does with what all tasks need. What a task made and returns is the caller's to close,
// and what it made and does not return its own: one that it forgets stays in its worker.
// Results that nobody looks at, those of a Map that was left early, are nobody's to close
// either, and stay until the driver ends. Nothing has a name in a file system, and nothing
// is left when processes are killed: memory ends with the last process that maps it.
//
// A slice that is kept longer than that shows what comes to lie there next, or ends the
// process that touches it; Array.Use cannot be outlived.
//
// # What is safe
//
// Elements hold no pointers. A call's writes to an array are there once its result is;
// tasks that run at the same time write parts of their own, or agree by a Value, a
// Queue, or a Mutex. A worker that is killed leaves values and queues whole; the array that it was
// writing to is as far as it came, and who gets the mutex next that it had is told so. An array handed over by ReadOnly, and a View, cannot
// be written to there: the kernel sees to that, and the task fails with an error that
// says so. All processes of a pool run the same program as the same user: this keeps
// mistakes apart, not enemies.
//
// # What it costs
//
// Handing an array over again costs what any call does, whatever its size. An array's
// memory is taken from the system when it is made, so that a full memory is an error
// there and then (it wraps xme.ErrMemory), and used again by the next of about its size;
// Options.Shared bounds what a pool's calls and tasks use. Each array, value, queue and
// pipe takes a descriptor in each process that has it: rather than thousands, make one
// and hand over parts. A result, and an argument of a task's own call, hands at most 250 over. On Windows and macOS the memory
// is a mapping without a name, and an unlinked file; who waits there, in a queue or for a lock, looks
// again after a millisecond, and after longer if many do.
//
// A free mutex costs 20 to 35 ns to take and give back. Who waits looks for some microseconds and
// then sleeps; a few goroutines of a process sleep in a thread each, all others in one for every hundred.
//
// The links that carry descriptors carry shared memory: all but the pipes of Unix systems
// (xme.LinkPipe), and executors of others. There a call ends with an error that wraps
// errors.ErrUnsupported.
package shm
