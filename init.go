package xme

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/internal/wire"
)

// role is what the environment makes of this process, taken before the code of any
// package that imports this one runs; nil in a driver.
var role, _ = proc.TakeRole()

// served tells that Init has taken a worker's role.
var served atomic.Bool

// Init must be the first statement of main, and of TestMain. In the driver it
// closes the function table and returns. In a worker, which is a copy of this
// program started by a pool, it serves the pool and never returns: nothing after
// it exists there, no flags, no variables of main. Calling it again does nothing.
func Init() {
	table.freeze()
	if role == nil {
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
	conn := link.NewConn(stream, maxMessageLimit+64<<10)
	err = proc.Work(context.Background(), conn, id, runner, func(error) {
		os.Exit(exitOrphan) // the driver is gone, and with it who wanted the row
	})
	if err != nil {
		return exitOrphan
	}
	return 0
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

// runner makes what runs rows in a worker of this program.
func runner(h wire.Hello) link.Runner {
	current := refusing{unsupported("a nested call (xme.Current in a worker)")}
	return func(ctx context.Context, f link.Frame, dst []byte, done link.Done) {
		fn := table.at(f.Func)
		if fn == nil {
			e := &Error{Row: -1, Cause: CauseEncode, Message: fmt.Sprintf("no function %d", f.Func)}
			f.Parcel.Close()
			sendError(done, e)
			return
		}
		v := invocation{
			fn: fn, args: f.Body, parcel: f.Parcel, dst: dst,
			task: task{rank: int(h.Rank), limit: int(h.MaxMessage), current: current},
		}
		v.run(ctx, func(body []byte, parcel *wire.Parcel, err *Error) {
			if err != nil {
				sendError(done, err)
				return
			}
			done(wire.KindResult, body, parcel)
		})
	}
}

// maxErrorText bounds the texts of an error on its way.
const maxErrorText = 64 << 10

func sendError(done link.Done, e *Error) {
	if len(e.Message) > maxErrorText {
		e.Message = e.Message[:maxErrorText] + "…"
	}
	body, err := e.MarshalBinary()
	if err != nil {
		body, _ = (&Error{Func: e.Func, Row: e.Row, Cause: e.Cause, Message: err.Error()}).MarshalBinary()
	}
	done(wire.KindFail, body, nil)
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
	t.mu.RLock()
	defer t.mu.RUnlock()
	if int(i) >= len(t.list) {
		return nil
	}
	return t.list[i]
}

func init() {
	proc.NewInProcess = func() *proc.InProcess {
		return &proc.InProcess{PID: os.Getpid(), Main: func(c link.Conn, lost func(error)) error {
			id, err := identity()
			if err != nil {
				return err
			}
			return proc.Work(context.Background(), c, id, runner, lost)
		}}
	}
}
