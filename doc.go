// Package xme runs Go functions in a pool of real operating-system processes.
//
// A goroutine cannot be killed, cannot be given a memory limit, and takes the whole
// program down when native code under it crashes. A worker process can be killed,
// limited and replaced, and costs 2 to 20 milliseconds to start, as the machine has it,
// and 1 to 2 MB.
//
// The nouns: the driver is the process the user started. A worker is a copy of the
// same program, started by a [Pool]; its rank is its number there, from 1, which its
// replacement keeps. Functions are registered by name in the
// function table ([Register]), which driver and workers share. A row is one call
// with one set of arguments; a task is a row being run; a [Table] is what to run,
// top to bottom; a [Future] is the handle on one result. An [Executor] is anything
// that runs calls: a pool, [Inline], or a user's own.
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
// on each worker ([Func.Broadcast]), or as a part of a table ([Func.Add], [Table.Run]).
// It has one argument and one result, which are copied; several arguments are a struct.
// [Split] and [Array] make rows of lists. [Func.With] gives its calls options:
// [Timeout], [Memory], [Retries], [On], [Fresh], [Service].
//
// # What a task may count on
//
// Nothing of main exists in a worker: no flags, no variables set after [Init]. Pass
// what a task needs, or set it up with Options.Setup. Globals and goroutines that a
// task leaves behind live on in its worker. A worker has as many CPUs (GOMAXPROCS) as
// there are for each, one by default. A task's context ends when it returns,
// when its call is cancelled, and when the pool closes. Rows of one worker run one
// after another; nothing else is promised about order, except that results of Map
// and Table come in theirs. A row runs at most once unless it asks for [Retries].
//
// A task may call other functions on [Current]: in worker processes too, never in
// its own. While it waits for them another task may run. A task may open a pool,
// which ends with its worker. Workers have a process group each; standard input is
// empty, core files are off, and what a terminal or a service manager sends to all of a
// program (SIGHUP, SIGINT, SIGTERM, SIGTSTP), and SIGPIPE, is caught and dropped. When
// the driver is gone, however it went, the system ends its workers and what they
// started in their groups (on macOS a worker ends by itself, and what it started stays).
//
// # When something goes wrong
//
// A row fails alone, with an [*Error] that names function, row, worker and cause: a
// returned error, a panic with its stack, a dead worker with its last words, a time
// limit with what the goroutines did. errors.Is finds [ErrPanic], [ErrWorkerLost] and
// their like in it, and errors of the program's own by [RegisterError]. A worker that died
// is replaced, and rows that it had not begun run elsewhere. [Pool.Close] tells tasks to
// end, kills those that do not, and leaves nothing behind.
//
// # Beside it
//
// Package shm is memory and locks that tasks share, manager objects and tables,
// monitor messages for other programs, monitor/rpc calls between hosts, mpi ranks that
// talk to each other, xmelog the form of log lines, progress a bar, xmetest what
// tests need. The guide is docs/guide in the repository.
//
// # Limits
//
// A worker runs as the same user as the driver: it contains crashes, not malice.
// Arguments and results are copied, and bounded by Options.MaxMessage. A row of less
// than 0.6 to 2.3 microseconds, as the machine has it, costs more to send than to run: put
// several into one. A single call costs about one microsecond while its worker is awake,
// and 75 to 160 if that has to be woken. Where rows travel by a socket or pipes, as on macOS
// and Windows, it is tens of microseconds in any case. Memory limits are Linux's. A pool has
// 4096 workers at most.
package xme
