package proc

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/sys"
)

// WorkerEnv names the environment variable that makes a process a worker. Its
// value is the link's kind and descriptors, nothing secret.
const WorkerEnv = "XME_WORKER"

// Role is what WorkerEnv makes of a process.
type Role struct {
	kind   string
	stream sys.Stream
	err    error
}

// TakeRole reads and removes WorkerEnv and opens the inherited link, so that no
// grandchild is a worker or holds a link. It reports false in a process that is
// none.
func TakeRole() (*Role, bool) {
	v, ok := os.LookupEnv(WorkerEnv)
	if !ok {
		return nil, false
	}
	_ = os.Unsetenv(WorkerEnv)
	kind, rest, _ := strings.Cut(v, ":")
	rest, alive, _ := strings.Cut(rest, ":")
	var fds []uintptr
	for s := range strings.SplitSeq(rest, ",") {
		if fd, err := strconv.ParseUint(s, 10, 32); err == nil {
			fds = append(fds, uintptr(fd))
		}
	}
	r := &Role{kind: kind}
	if n := len(fds); n > 0 && alive == "alive" {
		if err := sys.DieWith(int(fds[n-1])); err != nil {
			r.err = err
			return r, true
		}
		fds = fds[:n-1]
	}
	switch {
	case (kind == kindSocket || kind == kindProbe) && len(fds) == 1:
		r.stream, r.err = sys.InheritedSocket(int(fds[0]))
	case kind == kindPipes && len(fds) == 2:
		r.stream, r.err = sys.InheritedPipes(fds[0], fds[1])
	default:
		r.err = fmt.Errorf("%s=%q does not name a link: xme sets it for its own workers only; unset it", WorkerEnv, v)
	}
	return r, true
}

// Stream returns the inherited link.
func (r *Role) Stream() (sys.Stream, error) { return r.stream, r.err }

const (
	kindSocket = "socket"
	kindPipes  = "pipes"
	kindProbe  = "probe"
)

// Probe reports whether the process shall only say that it is up: the floor that
// start-up is measured against.
func (r *Role) Probe() bool { return r.kind == kindProbe }

// Exec starts workers as processes: this program again.
type Exec struct {
	Path  string   // the program
	Args  []string // its argument list, the name included
	Env   []string // "key=value"
	Dir   string   // empty: the driver's
	Pipes bool     // use the portable link also where sockets are offered

	// Stdout and Stderr take what the processes write, line by line.
	Stdout, Stderr *Output
}

// Start implements [Backend].
func (e *Exec) Start(_, limit int) (Process, error) {
	if e.Pipes || !sys.HasSockets {
		return e.startPipes(limit)
	}
	stream, theirs, err := sys.SocketPair()
	if err != nil {
		return nil, err
	}
	return e.start(kindSocket, stream, limit, theirs)
}

func (e *Exec) startPipes(limit int) (Process, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, inR.Close(), inW.Close())
	}
	return e.start(kindPipes, sys.Pipes(outR, inW), limit, inR, outW)
}

func (e *Exec) start(kind string, stream sys.Stream, limit int, theirs ...*os.File) (Process, error) {
	mine, inherited, err := sys.Liveness()
	var p *os.Process
	if err == nil {
		if inherited != nil {
			theirs = append(theirs, inherited)
		}
	}
	r, std, relayErr := newRelay()
	if err = errors.Join(err, relayErr); err == nil {
		p, err = e.spawn(kind, inherited != nil, std, theirs...)
	}
	for _, f := range append(std, theirs...) {
		_ = f.Close()
	}
	if err != nil {
		_ = stream.Close()
		_ = mine.Close() // nil is an error of its own, of no interest
		if r != nil {
			r.close()
		}
		return nil, err
	}
	r.start(fmt.Sprintf("(pid@%d):", p.Pid), e.Stdout, e.Stderr)
	return &osProcess{p: p, relay: r, alive: mine, conn: link.NewConn(stream, limit)}, nil
}

// spawn starts a process that inherits theirs; alive says that the last of these
// is a liveness pipe. std are its standard output and error.
func (e *Exec) spawn(kind string, alive bool, std []*os.File, theirs ...*os.File) (*os.Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()
	files, names, attr := sys.Inherit(theirs...)
	role := WorkerEnv + "=" + kind + ":" + strings.Join(names, ",")
	if alive {
		role += ":alive"
	}
	env := append(slices.Clip(e.Env), role)
	return os.StartProcess(e.Path, e.Args, &os.ProcAttr{
		Dir:   e.Dir,
		Env:   env,
		Files: append(append([]*os.File{null}, std...), files...),
		Sys:   attr,
	})
}

type osProcess struct {
	p     *os.Process
	conn  link.Conn
	alive *os.File // the liveness pipe's end, nil where there is none
	relay *relay

	mu     sync.Mutex
	reaped bool
	quit   bool
}

func (p *osProcess) Conn() link.Conn { return p.conn }
func (p *osProcess) PID() int        { return p.p.Pid }

func (p *osProcess) Quit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped && !p.quit {
		p.quit = true
		p.relay.hush()
		_ = sys.Quit(p.p.Pid)
	}
}

func (p *osProcess) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped { // afterwards the number may be somebody else's
		_ = sys.KillGroup(p.p.Pid)
	}
}

func (p *osProcess) Wait() Exit {
	err := sys.AwaitExit(p.p.Pid)
	exit := p.reap(err == nil)
	p.relay.finish()
	exit.Output = p.relay.last()
	if i := strings.LastIndex(exit.Output, "SIGQUIT: quit"); i >= 0 && p.quit {
		exit.Output, exit.Dump = exit.Output[:i], exit.Output[i:]
	}
	return exit
}

// reap reaps the process; dead says that it is known to have ended.
func (p *osProcess) reap(dead bool) Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	if dead {
		// The process is dead and not yet reaped: its group's number is still
		// its own, so what it left behind can be killed safely.
		_ = sys.KillGroup(p.p.Pid)
	}
	st, err := p.p.Wait()
	p.reaped = true
	_ = p.alive.Close()
	if err != nil {
		return Exit{Code: -1, Signal: err.Error()}
	}
	code, signal := sys.Ended(st)
	return Exit{Code: code, Signal: signal, Memory: sys.PeakMemory(st), CPU: st.UserTime() + st.SystemTime()}
}
