package xme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme/internal/dump"
	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/text"
	"github.com/xenonmp/xme/internal/wire"
)

// role is what the environment makes of this process, taken before the code of any
// package that imports this one runs; nil in a driver.
var role, _ = proc.TakeRole()

// served tells that Init has taken a worker's role.
var served atomic.Bool

// Init must be the first statement of main, and of TestMain. In the driver it closes the
// function table and returns. In a worker, which is a copy of this program started by a
// pool, it serves the pool and never returns: nothing that comes after it exists there,
// no flags and no variables set in main. Further calls do nothing.
func Init() {
	table.freeze()
	if role == nil {
		if runtime.GOOS != "linux" {
			_, _ = identity() // before the program's file can be replaced
		}
		return
	}
	if served.Swap(true) {
		select {} // a second call in a worker; the first one ends the process
	}
	os.Exit(serve())
}

// serve is a worker's main function; it returns the exit code.
func serve() int {
	stream, err := role.Stream()
	if err != nil {
		return complain(err)
	}
	if role.Probe() {
		_, _ = stream.Write([]byte{1}, nil)
		_, _, _ = stream.Read(make([]byte, 1)) // its end must not slow down the start of others
		return 0
	}
	id, err := identity()
	if err != nil {
		return complain(err)
	}
	if os.Getenv(waitEnv) == "1" {
		awaitDebugger()
	}
	_ = sys.NoCoreSelf() // a crash is reported; its core would only fill a disk
	go sys.CatchSignals()
	conn := link.NewConn(stream, maxMessageLimit+64<<10)
	log := workerLog(role)
	err = proc.Work(context.Background(), conn, id, func(h wire.Hello, c link.Conn) link.Side {
		sys.SetUmask(int(h.Umask))
		side := workerSide(h, c, log)
		side.Lost = func(err error) { // the driver is gone, and with it who wanted the row
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, link.ErrClosed) { // or it is not
				complain(fmt.Errorf("the link to the driver broke: %w", err))
			}
			os.Exit(exitOrphan)
		}
		return side
	})
	if err != nil {
		return exitOrphan
	}
	return 0
}

// waitEnv has workers wait for a debugger.
const waitEnv = "XME_WAIT"

// awaitDebugger prints the process's number and waits until a debugger is attached;
// where that cannot be told, for a while.
func awaitDebugger() {
	fmt.Fprintf(os.Stderr, "xme: worker %[1]d waits for a debugger: dlv attach %[1]d\n", os.Getpid())
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for n := 0; !sys.Traced() && (runtime.GOOS == "linux" || n < 200); n++ {
		<-look.C
	}
}

// exitOrphan is how a worker exits whose driver is gone.
const exitOrphan = 3

func complain(err error) int {
	fmt.Fprintf(os.Stderr, "xme: worker %d: %v\n", os.Getpid(), err)
	return 2
}

// identity returns what this program is, for the handshake.
var identity = sync.OnceValues(func() (wire.Identity, error) {
	path, err := sys.Executable()
	if err != nil {
		return wire.Identity{}, err
	}
	build, err := wire.BuildID(path)
	if err != nil {
		return wire.Identity{}, err
	}
	return wire.Identity{Version: wire.Version, Build: build, Funcs: table.identities()}, nil
})

// workerSide makes what a worker of this program does with its driver's frames.
func workerSide(h wire.Hello, c link.Conn, log *logSink) link.Side {
	n := &nester{conn: c, calls: map[uint64]*Call{}, maxMessage: int(h.MaxMessage)}
	funcs := table.frozenList()
	var rank atomic.Int64
	rank.Store(int64(h.Rank))
	var bound memoryBound
	var fresh []workerRow // Begin is called for one row at a time
	var left leftovers
	return link.Side{
		Bounded: h.Shared > 0,
		Bye:     n.close,
		Prepare: func(f link.Frame) { bound.set(int64(f.Time)) },
		Many:    bound.load,
		Begin: func(f *link.Frame) link.Task {
			if len(fresh) == 0 {
				fresh = make([]workerRow, rowsAtOnce)
			}
			if role != nil {
				left.begin(int(rank.Load()))
			}
			r := &fresh[0]
			fresh = fresh[1:]
			if int(f.Func) < len(funcs) {
				r.task.fn = funcs[f.Func]
			}
			r.nest.n, r.bounded = n, bound.bounded.Load()
			r.task.rank, r.task.limit, r.task.current, r.task.log = int(rank.Load()), int(h.MaxMessage), &r.nest, log
			return r
		},
		Other: func(f link.Frame, owned bool) error {
			if f.Kind == wire.KindSeat {
				rank.Store(int64(f.Call))
				return nil
			}
			n.deliver(f, owned)
			return nil
		},
	}
}

// rowsAtOnce is for how many rows a worker takes memory at once.
const rowsAtOnce = 16

// memoryBound has the collector keep a worker below what its row may use.
type memoryBound struct {
	bytes int64 // 0: none
	usual int64 // what the process began with

	bounded atomic.Bool // bytes > 0

	mu      sync.Mutex
	loaded  bool // the next collection takes the ballast on
	ballast []byte
}

// ballastBytes is memory that a worker allocates and never touches, so that the
// collector sees a heap of some size: one that holds next to nothing is collected every
// 4 MB, which for rows with arguments of a megabyte is every third, and gives its
// memory back to the system between, to be mapped anew. 16 MB make them four times as
// fast (docs/bench), and cost at most as much again in garbage. To allocate it is to
// start a collection, so that waits for the first one: rows that leave no garbage
// never pay.
const ballastBytes = 16 << 20

// load has the ballast taken on after the next collection, unless memory is bounded by
// then, or the user has set the collector's pace.
func (m *memoryBound) load() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loaded || os.Getenv("GOGC") != "" {
		return
	}
	m.loaded = true
	type canary struct{ _ *memoryBound } // with a pointer: small values without one share their memory, and may stay
	runtime.AddCleanup(new(canary), (*memoryBound).takeOn, m)
}

func (m *memoryBound) takeOn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes == 0 {
		m.ballast = make([]byte, ballastBytes)
	}
}

// set takes the bound of the next row, in bytes; 0: none.
func (m *memoryBound) set(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bytes == m.bytes {
		return
	}
	if m.bytes == 0 {
		m.usual = debug.SetMemoryLimit(-1)
	}
	m.bytes = bytes
	m.bounded.Store(bytes > 0)
	m.ballast = nil
	if bytes == 0 {
		debug.SetMemoryLimit(m.usual)
		return
	}
	// Below the bound, so that the collector works hard before the kernel says no.
	debug.SetMemoryLimit(min(m.usual, bytes-bytes/8))
	if used, err := sys.Memory(os.Getpid()); err == nil && used > bytes/2 {
		debug.FreeOSMemory() // what earlier rows left is not this one's
	}
}

// maxErrorText bounds the texts of an error on its way.
const maxErrorText = 64 << 10

// errorBody encodes an error, within the bounds of a frame.
func errorBody(e *Error) []byte {
	if len(e.Message) > maxErrorText {
		e.Message = text.Cut(e.Message, maxErrorText) + "…"
	}
	body, err := e.MarshalBinary()
	if err != nil {
		body, _ = (&Error{Func: e.Func, Row: e.Row, Cause: e.Cause, Message: err.Error()}).MarshalBinary()
	}
	return body
}

func (t *functionTable) isFrozen() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.frozen
}

func (t *functionTable) identities() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.ids
}

// at returns function i of the frozen table, nil if there is none.
func (t *functionTable) at(i uint16) *function {
	if list := t.frozenList(); int(i) < len(list) {
		return list[i]
	}
	return nil
}

// frozenList returns the frozen table, which does not change any more.
func (t *functionTable) frozenList() []*function {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.list
}

func init() {
	proc.MethodFailed = func(name string, cause int, text, stack string, err error) error {
		e := &Error{Func: name, Row: -1, PID: os.Getpid(), Cause: Cause(cause), Message: text, Stack: dump.Panic([]byte(stack))}
		if err != nil {
			e.wrapped = &tamed{err}
			if text == "" {
				e.Message = err.Error()
			}
		}
		return e
	}
	proc.Pulled = func(call any) bool { return call.(*Call).pulled }
	proc.ResultOf = func(name string) (reflect.Type, error) {
		fn, err := table.find(name)
		if err != nil {
			return nil, err
		}
		return fn.result, nil
	}
	proc.NewInProcess = func() *proc.InProcess {
		return &proc.InProcess{PID: os.Getpid(), Main: func(c link.Conn, log any) error {
			id, err := identity()
			if err != nil {
				return err
			}
			return proc.Work(context.Background(), c, id, func(h wire.Hello, c link.Conn) link.Side {
				sink, _ := log.(*logSink)
				side := workerSide(h, c, sink)
				side.Prepare, side.Many = nil, nil // the collector is the driver's
				return side
			})
		}}
	}
}
