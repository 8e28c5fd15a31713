package proc

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/xenonmp/xme/internal/dump"
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
	log    *os.File
	form   string
	err    error
}

var isWorker atomic.Bool

// IsWorker reports whether this process is one that a pool started.
func IsWorker() bool { return isWorker.Load() }

// TakeRole reads and removes WorkerEnv and opens the inherited link, so that no
// grandchild is a worker or holds a link. It reports false in a process that is
// none.
func TakeRole() (*Role, bool) {
	v, ok := os.LookupEnv(WorkerEnv)
	if !ok {
		return nil, false
	}
	_ = os.Unsetenv(WorkerEnv)
	isWorker.Store(true)
	kind, rest, _ := strings.Cut(v, ":")
	rest, more, _ := strings.Cut(rest, ":")
	var fds []uintptr
	for s := range strings.SplitSeq(rest, ",") {
		if fd, err := strconv.ParseUint(s, 10, 32); err == nil {
			fds = append(fds, uintptr(fd))
		}
	}
	r := &Role{kind: kind}
	more, form, logs := strings.Cut(more, logMark)
	if n := len(fds); n > 0 && logs {
		r.form = form
		r.log, r.err = sys.InheritedFile(fds[n-1], "xme-log")
		fds = fds[:n-1]
	}
	if n := len(fds); n > 0 && more == aliveMark {
		// Where the pipe cannot be armed (a filter), the end of the link is what ends this process.
		if err := sys.DieWith(int(fds[n-1])); errors.Is(err, sys.ErrDriverGone) {
			r.err = err
			return r, true
		}
		fds = fds[:n-1]
	}
	switch {
	case r.err != nil:
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

// Log returns where the process writes its log records, see [AppendRecord], and what
// Exec.LogForm says of them; nil: it has no log.
func (r *Role) Log() (f *os.File, form string) { return r.log, r.form }

const (
	aliveMark = "alive"
	logMark   = ":log="

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

	// NoLanes has all rows go over the socket.
	NoLanes bool

	// Line takes a line, newline excluded, that a process wrote to its standard output
	// (stream 0) or error (1).
	Line func(pid, stream int, line []byte)

	// Record takes a log record and returns it as a text; what it cannot read is an
	// error, and the last record of that process. nil: processes have no log.
	Record func(pid int, body []byte) (text string, err error)

	// LogForm is handed to processes that have a log, whatever it means; it may be
	// read by all.
	LogForm string

	// Groups is where a control group can be made for each process whose memory is
	// bounded, by Memory at first; empty: nowhere.
	Groups string
	Memory int64

	base atomic.Int64 // what RLIMIT_DATA counts of a process that has run nothing
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
	return e.start(kindPipes, sys.ChildPipes(outR, inW), limit, inR, outW)
}

func (e *Exec) start(kind string, stream sys.Stream, limit int, theirs ...*os.File) (Process, error) {
	leash, inherited, err := sys.NewLeash()
	var p *os.Process
	if err == nil && inherited != nil {
		theirs = append(theirs, inherited)
	}
	r, std, relayErr := newRelay(e.Record != nil)
	if len(std) > 2 {
		theirs, std = append(theirs, std[2]), std[:2]
	}
	var group *sys.Cgroup
	if err = errors.Join(err, relayErr); err == nil {
		if p, group, err = e.spawnGrouped(kind, inherited != nil, std, theirs...); err == nil {
			err = errors.Join(leash.Attach(p.Pid), sys.AttachStream(stream, p.Pid))
		}
	}
	for _, f := range append(std, theirs...) {
		_ = f.Close()
	}
	if err != nil {
		if p != nil {
			_ = p.Kill()
			_, _ = p.Wait()
		}
		closeGroup(group)
		_ = stream.Close()
		_ = leash.Close()
		if r != nil {
			r.close()
		}
		return nil, err
	}
	r.line = func(stream int, line []byte) { e.Line(p.Pid, stream, line) }
	r.record = func(body []byte) (string, error) { return e.Record(p.Pid, body) }
	r.start()
	return &osProcess{p: p, exec: e, group: group, floor: sys.OwnPeak(), relay: r, leash: leash, conn: link.NewConn(stream, limit)}, nil
}

// spawnGrouped starts a process in a control group of its own, or without one where
// that cannot be: then the other bounds hold alone.
func (e *Exec) spawnGrouped(kind string, alive bool, std []*os.File, theirs ...*os.File) (*os.Process, *sys.Cgroup, error) {
	if e.Groups != "" && e.Memory > 0 {
		if group, err := sys.NewCgroup(e.Groups, e.Memory); err == nil {
			p, err := e.spawn(kind, alive, group, std, theirs...)
			if err == nil {
				return p, group, nil
			}
			closeGroup(group)
		}
	}
	p, err := e.spawn(kind, alive, nil, std, theirs...)
	return p, nil, err
}

// closeGroup removes a control group; one that cannot be removed is swept later.
func closeGroup(g *sys.Cgroup) {
	if g != nil {
		_ = g.Close()
	}
}

// spawn starts a process that inherits theirs; alive says that the last of these, or
// the last but one if it has a log, is a liveness pipe. std are its standard output and error.
func (e *Exec) spawn(kind string, alive bool, group *sys.Cgroup, std []*os.File, theirs ...*os.File) (*os.Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer func() { _ = null.Close() }()
	files, names, attr := sys.Inherit(theirs...)
	group.Start(attr)
	role := WorkerEnv + "=" + kind + ":" + strings.Join(names, ",")
	role += ":"
	if alive {
		role += aliveMark
	}
	if e.Record != nil {
		role += logMark + e.LogForm
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
	leash *sys.Leash
	relay *relay

	mu    sync.Mutex
	gone  bool // it has been reaped: its number may be somebody else's
	quit  bool // it was asked for a dump
	exec  *Exec
	group *sys.Cgroup      // nil: none
	floor int64            // what its peak of memory says nothing below
	state *os.ProcessState // where waiting and reaping are one
}

func (p *osProcess) Conn() link.Conn { return p.conn }
func (p *osProcess) PID() int        { return p.p.Pid }

// Lanes implements [Process].
func (p *osProcess) Lanes() bool { return sys.HasLanes && !p.exec.NoLanes && p.conn.CarriesFiles() }

// OpenLane implements [Process].
func (p *osProcess) OpenLane(bells [2]*sys.Bell) (*link.Lane, link.Frame, error) {
	return link.OpenLane(bells)
}

func (p *osProcess) Quit() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone && !p.quit {
		p.quit = true
		p.relay.hush()
		_ = sys.Quit(p.p.Pid)
	}
}

func (p *osProcess) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		_ = p.leash.Kill(p.p.Pid)
		_ = p.p.Kill() // a task may have had it leave its group
	}
}

// Fresh notes what a process has that has run nothing, once for all: they are alike.
func (p *osProcess) Fresh() {
	if p.exec.base.Load() != 0 {
		return
	}
	if n, err := sys.DataSize(p.p.Pid); err == nil {
		p.exec.base.CompareAndSwap(0, n)
	}
}

// Limit bounds the private memory of the process. What a fresh one has comes on top:
// a Go program has tables it never touches.
func (p *osProcess) Limit(bytes int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone:
		return nil
	case bytes <= 0:
		p.bindGroup(-1)
		return endedIsFine(sys.LimitData(p.p.Pid, -1))
	}
	p.bindGroup(bytes)
	return endedIsFine(sys.LimitData(p.p.Pid, p.exec.base.Load()+bytes))
}

// bindGroup sets the limit of the control group, if there is one: it counts what the
// process shares and what it has started too.
func (p *osProcess) bindGroup(bytes int64) {
	if p.group != nil {
		_ = p.group.SetLimit(bytes) // the other bounds hold all the same
	}
}

// Grown reports whether the process has more address space than it may be limited
// to: what it has mapped it can use, whatever the limit.
func (p *osProcess) Grown(bytes int64) bool {
	n, err := sys.DataSize(p.p.Pid)
	return err == nil && n > p.exec.base.Load()+bytes
}

// endedIsFine drops the error of a question about a process that is no more: its
// end will be noticed.
func endedIsFine(err error) error {
	if sys.NoProcess(err) {
		return nil
	}
	return err
}

func (p *osProcess) Memory() (int64, error) { return sys.Memory(p.p.Pid) }
func (p *osProcess) Stopped() (bool, error) { return sys.Stopped(p.p.Pid) }

// Ended waits on the process. Where that cannot be had without reaping it, the
// process's number is free for a moment before Kill knows.
func (p *osProcess) Ended() {
	if sys.AwaitExit(p.p.Pid) == nil {
		return
	}
	st, err := p.p.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.state = st
	}
	_ = p.leash.Kill(p.p.Pid) // what it left behind keeps the group's number its own
	p.gone = true
}

// crashCode is how the Go runtime ends a program that crashes, unless GOTRACEBACK has
// it abort.
const crashCode = 2

func (p *osProcess) Reap() Exit {
	exit := p.reap()
	if p.group != nil {
		kills, err := p.group.OOMKills()
		exit.OOM = err == nil && kills > 0
		closeGroup(p.group)
	}
	p.relay.finish()
	exit.Output = p.relay.last()
	if p.quit || exit.Code == crashCode || exit.Signal == "SIGABRT" {
		exit.Output, exit.Dump = dump.Split(exit.Output)
		exit.Output += dump.Between(exit.Dump)
	}
	return exit
}

func (p *osProcess) reap() Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		_ = p.leash.Kill(p.p.Pid) // what it left behind
		st, err := p.p.Wait()
		p.gone = true
		if err != nil {
			_ = p.leash.Close()
			return Exit{Code: -1, Signal: err.Error()}
		}
		p.state = st
	}
	_ = p.leash.Close()
	if p.state == nil {
		return Exit{Code: -1, Signal: "unknown"}
	}
	code, signal := sys.Ended(p.state)
	peak := sys.PeakMemory(p.state)
	if peak <= p.floor {
		peak = 0 // the driver's own, from when the process was a copy of it
	}
	return Exit{
		Code: code, Signal: signal, Memory: peak, CPU: p.state.UserTime() + p.state.SystemTime(),
	}
}
