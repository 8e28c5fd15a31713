// Package xme runs Go functions in a pool of real operating-system processes.
//
// A goroutine cannot be killed, cannot be given a memory limit, and takes the whole
// program down when native code under it crashes. A worker process can be killed, limited
// and replaced. One takes 1 to 2 MB and, depending on the machine, 3 to 40 milliseconds
// to start; several start side by side.
//
// Some terms: the driver is the process that the user started. A worker is a copy of the
// same program, started by a [Pool]; its rank is its number there, counted from 1, and a
// replacement keeps the rank of the worker it replaces. Functions are registered by name
// in the function table ([Register]), which driver and workers share. A row is one call
// with one set of arguments; a task is a row being run; a [Table] is a list of rows to
// run, top to bottom; a [Future] is the handle on one result. An [Executor] is anything
// that runs calls: a pool, [Inline], or one of the user's own.
//
//	var darts = xme.Register("darts", func(ctx context.Context, n int) (int, error) {
//		rnd := rand.New(rand.NewPCG(xme.Seed(ctx), 0))
//		hits := 0
//		for range n {
//			if x, y := rnd.Float64(), rnd.Float64(); x*x+y*y <= 1 {
//				hits++
//			}
//		}
//		return hits, nil
//	})
//
//	func main() {
//		xme.Init() // a worker never gets past this line
//		pool, err := xme.Open(context.Background(), xme.Options{})
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer pool.Close()
//		total := 0
//		for hits, err := range darts.Map(context.Background(), pool, xme.Repeat(10, 100_000)) {
//			if err != nil {
//				log.Fatal(err)
//			}
//			total += hits
//		}
//		fmt.Printf("%.2f\n", 4*float64(total)/1_000_000)
//	}
//
// # Calls
//
// A [Func] is called for one result ([Func.Call]), for a future ([Func.Go]), for each
// value of a sequence, in order or as results come ([Func.Map], [Func.Unordered]), once
// on each worker ([Func.Broadcast]), or as part of a table ([Func.Add], [Table.Run]). It
// has one argument and one result, both of which are copied; use a struct for several
// arguments. [Split] and [Array] make rows from lists. [Func.With] sets options for
// calls: [Timeout], [Memory], [Retries], [On], [Fresh], [Service].
//
// # What a task may count on
//
// Nothing of main exists in a worker: no flags, no variables set after [Init]. Pass a
// task what it needs, or set it up with Options.Setup. Globals and goroutines that a task
// leaves behind live on in its worker. GOMAXPROCS is a worker's share of the CPUs: one,
// with the default number of workers. A task's context ends when the task returns, when
// its time limit passes, when its call is cancelled, when the pool closes or, for a
// service, when the other rows of its table have ended. A worker runs its rows one after
// another; nothing else is promised about order, except that Map and Table deliver
// results in the order of their rows. A row runs at most once unless it asks for
// [Retries].
//
// A task may call other functions on [Current]: they too run in worker processes, never
// in the task's own. While it waits for them another task may run. A task may open
// a pool, which ends with its worker. Each worker has its own process group. Its standard
// input is empty, core files are off, and it catches and drops SIGPIPE and the signals
// that a terminal or a service manager sends to a whole program (SIGHUP, SIGINT, SIGTERM,
// SIGTSTP). When the driver is gone, however it ended, the system ends its workers and
// what they started in their process groups. (On macOS a worker ends itself, and what it
// started stays.)
//
// # When something goes wrong
//
// A row fails alone, with an [*Error] that names function, row, worker and cause: a
// returned error, a panic with its stack, a dead worker with its last output, a time
// limit with what the goroutines were doing. errors.Is finds [ErrPanic], [ErrWorkerLost]
// and the like in it, and the program's own errors if they are registered with
// [RegisterError]. A worker that dies is replaced, and rows that it had not begun run
// elsewhere. [Pool.Close] tells tasks to end, kills those that do not, and leaves nothing
// behind.
//
// # Other packages
//
// Package shm provides memory and locks that tasks share, manager shared objects and
// tables, monitor messages for other programs, monitor/rpc calls between hosts, mpi ranks
// that talk to each other, xmelog the format of log lines, progress a progress bar, and
// xmetest helpers for tests. The guide is docs/guide in the repository.
//
// # Limits
//
// A worker runs as the same user as the driver: it contains crashes, not malice.
// Arguments and results are copied, and their size is bounded by Options.MaxMessage. A
// row shorter than 0.6 to 2.3 microseconds, depending on the machine, costs more to send
// than to run: combine several into one. A single call costs about one microsecond while
// its worker is awake, and 75 to 160 if the worker has to be woken. Where rows travel
// over a socket or pipes, as on macOS and Windows, it costs tens of microseconds in any
// case. Memory limits are available on Linux only. A pool has at most 4096 workers.
package xme
