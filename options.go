package xme

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/xmelog"
)

// Options configures a pool. The zero value works: one worker for each CPU that this
// process may use.
type Options struct {
	// Workers is how many processes run rows side by side. 0: as many as there are CPUs
	// this process may use (affinity and cgroup quota included). It may exceed the number
	// of CPUs, up to 4096; a negative number is refused.
	Workers int

	// Setup runs first in every worker, replacements included; see [Func.Setup]. The zero
	// value runs nothing. If it fails in the first worker, Open returns its error. A
	// function with options ([Func.With]) is refused. Setup has no time limit: it does
	// not count towards StartTimeout. In the first worker Open's ctx bounds it; if it
	// hangs in another, it goes on until Close.
	Setup Setup

	// Queue is how many calls the pool accepts that have not ended; further Submits wait.
	// Calls that tasks make do not count and are not bounded. 0: 1<<20.
	Queue int

	// MaxMessage is the largest size of an encoded argument or result, in bytes. A larger
	// one ends its call with ErrEncode and is not sent: if it is an argument, the
	// function does not run; if it is a result, the function has run. 0: 1 GiB; at most 2
	// GiB - 64 KiB.
	MaxMessage int

	// Seed is the number that [Seed] derives each row's seed from. 0: a fixed constant,
	// so that runs repeat.
	Seed uint64

	// Env is the workers' environment, "key=value" each. nil: the driver's environment at
	// the time of Open. Unless set there, GOMAXPROCS and the thread counts of OpenMP,
	// OpenBLAS and MKL are added so that workers times threads do not exceed the CPUs: by
	// default a worker's GOMAXPROCS is 1.
	Env []string

	// Dir is the workers' directory. Empty: the driver's directory at the time of Open.
	// On Linux the workers also get the driver's file mode creation mask (umask) of that
	// time.
	Dir string

	// Grace is how long a task has to return once its context has ended or its Timeout
	// has passed. After that its worker is asked for a dump of its goroutines, for which
	// it has half a second and which the task's Error keeps, and is then killed. 0: 1 s.
	// Negative: none except the half second.
	Grace time.Duration

	// Stdout and Stderr take what tasks write to their standard output and error, line by
	// line, each preceded by time and process id in the form of package xmelog; Stderr
	// also takes the tasks' log records. A slow writer slows the workers down. One that
	// blocks holds them up for a second; from then on lines are dropped and counted, and
	// their number is written. nil: the driver's own.
	Stdout, Stderr io.Writer

	// Log says how lines look, the least level of log records, and the name of a file to
	// which all lines are also appended, printed ones included. The file is open from
	// Open to Close: to rotate it, copy and truncate it; a file that is renamed away
	// continues to be written to. The zero value shows the time and the process and logs
	// from slog.LevelInfo up, without a file. If Level is a [slog.LevelVar], lowering it
	// after Open has no effect.
	Log xmelog.Options

	// LogHandler takes the tasks' log records instead of Stderr, with pid, func, rank and
	// row as their first attributes: [slog.JSONHandler], for example. It is called by one
	// goroutine at a time, until Close, and asked for its least level at Open. It may be
	// slow or block as Stderr may. Errors that it returns are ignored. nil: none; but in
	// a pool that a task opens, records go on to the driver of the task's own pool unless
	// Stderr is set.
	LogHandler slog.Handler

	NoLog    bool // drop the tasks' log records
	NoScreen bool // write no output of the tasks to Stdout and Stderr
	Banner   bool // write a line to Stderr at Open: version, workers, link

	// StartTimeout is how long a worker may take to reach Init. 0: 30 s.
	StartTimeout time.Duration

	// Link is how the driver talks to its workers. The zero value is the best that this
	// system offers.
	Link Link

	// Spares is how many processes are kept ready beside the workers, set up and idle, to
	// take the place of a dead worker, or to run a row with Fresh or Service, or a nested
	// call, without having to be started first. They are started 100 ms after Open or,
	// while every rank has a row, as soon as one has none, but within a second. 0: 1.
	// Negative: none.
	Spares int

	// Recycle is the number of rows after which a worker's process is replaced, for code
	// that leaks. 0: never.
	Recycle int

	// Memory bounds the private memory that a worker's process may use, in bytes, at
	// least 8 MiB; for a call with the option [Memory] that bound replaces it, even if it
	// is larger. A row whose worker uses more ends with ErrMemory. Linux only; elsewhere
	// a value above 0 is refused. 0: no bound.
	Memory int64

	// MaxProcesses bounds the processes of a pool: workers, spares, services, and those
	// added for nested calls while their callers wait. A nested call that would need
	// another one, when all are waiting for calls of their own, ends with ErrDepth. 0: 4
	// times Workers and 8.
	MaxProcesses int

	// Summary makes Close print to Stderr what the pool did with its time, and what to do
	// about it: see [Pool.Summary].
	Summary bool

	// Shared bounds the shared memory (package shm) in use, in bytes: that of each array,
	// view, queue and so on that calls under way name, counted once however many name it,
	// and that which tasks have made in their workers (counted again while a call names
	// it). What the driver holds and no call names does not count. A call beyond the
	// bound ends with ErrMemory; a task that would make more gets an error that wraps
	// ErrMemory. 0: no bound. It comes on top of Memory, which does not cover shared
	// memory.
	Shared int64
}

// Link is a kind of connection between driver and worker.
type Link int

// The links.
const (
	LinkAuto   Link = iota // the best this system offers: on Linux shared memory, with a socket beside it
	LinkSocket             // only an inherited socket pair; open files can cross
	LinkPipe               // inherited pipes: the most portable form
)

// String returns the link's name on Linux: "shared memory", "socket" or "pipes".
func (l Link) String() string {
	switch l {
	case LinkAuto:
		return "shared memory"
	case LinkSocket:
		return "socket"
	case LinkPipe:
		return "pipes"
	}
	return fmt.Sprintf("link %d", int(l))
}

// maxMessageLimit is what a frame can hold.
const maxMessageLimit = math.MaxInt32 - 64<<10

// withDefaults checks o and fills in what is zero.
func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Workers < 0:
		return o, fmt.Errorf("xme: Options.Workers is %d: 0 takes one per CPU, or give a positive number", o.Workers)
	case o.Queue < 0:
		return o, fmt.Errorf("xme: Options.Queue is %d: 0 takes the default of %d", o.Queue, defaultQueue)
	case o.MaxMessage < 0 || o.MaxMessage > maxMessageLimit:
		return o, fmt.Errorf("xme: Options.MaxMessage is %d: 0 takes the default of 1 GiB, the largest is %d", o.MaxMessage, maxMessageLimit)
	case o.StartTimeout < 0:
		return o, fmt.Errorf("xme: Options.StartTimeout is %v: 0 takes the default of 30 s", o.StartTimeout)
	case o.Link < LinkAuto || o.Link > LinkPipe:
		return o, fmt.Errorf("xme: Options.Link is %d: use LinkAuto, LinkSocket or LinkPipe", o.Link)
	case o.Workers > maxWorkers:
		return o, fmt.Errorf("xme: Options.Workers is %d: at most %d", o.Workers, maxWorkers)
	case o.Recycle < 0:
		return o, fmt.Errorf("xme: Options.Recycle is %d: 0 never replaces a worker, or give a positive number of rows", o.Recycle)
	case o.Memory < 0 || o.Memory > 0 && o.Memory < minMemory:
		return o, fmt.Errorf("xme: Options.Memory is %d bytes: 0 sets no bound, the least is %d", o.Memory, int64(minMemory))
	case o.Memory > 0 && runtime.GOOS != "linux":
		return o, fmt.Errorf("xme: Options.Memory on %s: %w", runtime.GOOS, errors.ErrUnsupported)
	case o.Shared < 0:
		return o, fmt.Errorf("xme: Options.Shared is %d bytes: 0 sets no bound", o.Shared)
	case runtime.GOOS == "windows" && o.Link == LinkSocket:
		return o, fmt.Errorf("xme: Options.Link: no socket link on windows: %w", errors.ErrUnsupported)
	}
	if err := o.checkLog(); err != nil {
		return o, err
	}
	cpus, _ := sys.CPUs()
	if o.Workers == 0 {
		o.Workers = cpus
	}
	switch {
	case o.MaxProcesses == 0:
		o.MaxProcesses = 4*o.Workers + 8
	case o.MaxProcesses < o.Workers:
		return o, fmt.Errorf("xme: Options.MaxProcesses is %d: the %d workers alone are more", o.MaxProcesses, o.Workers)
	}
	if o.Spares == 0 {
		o.Spares = 1
	}
	if o.Queue == 0 {
		o.Queue = defaultQueue
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = 1 << 30
	}
	if o.Grace == 0 {
		o.Grace = time.Second
	}
	o.Grace = min(o.Grace, mostGrace) // other times are added to it
	if o.StartTimeout == 0 {
		o.StartTimeout = 30 * time.Second
	}
	if o.Seed == 0 {
		o.Seed = defaultSeed
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Env == nil {
		o.Env = os.Environ()
	}
	// Not a role of this process's own, which is nobody else's.
	o.Env = slices.DeleteFunc(slices.Clone(o.Env), func(kv string) bool { return strings.HasPrefix(kv, proc.WorkerEnv+"=") })
	o.Env = withThreads(o.Env, max(1, cpus/o.Workers))
	for i, kv := range o.Env {
		if !strings.Contains(kv, "=") || strings.ContainsRune(kv, 0) {
			return o, fmt.Errorf("xme: Options.Env[%d] is %q: write \"key=value\"", i, kv)
		}
	}
	// Fixed now, so that replacements start where the first workers did.
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("xme: the directory workers start in: %w", err)
	}
	o.Dir = dir
	if st, err := os.Stat(o.Dir); err != nil {
		return o, fmt.Errorf("xme: Options.Dir: %w", err)
	} else if !st.IsDir() {
		return o, fmt.Errorf("xme: Options.Dir: %s is not a directory", o.Dir)
	}
	return o, nil
}

// withThreads shares the CPUs this process may use among the workers' threads,
// unless the user has set how many they shall be.
func withThreads(env []string, n int) []string {
	threads := strconv.Itoa(n)
	for _, name := range []string{"GOMAXPROCS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"} {
		set := slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
		if !set {
			env = append(env, name+"="+threads)
		}
	}
	return env
}

const (
	defaultQueue = 1 << 20
	maxWorkers   = 1 << 12
	mostGrace    = 100 * 365 * 24 * time.Hour
	minMemory    = 8 << 20            // what a Go program needs to do anything at all
	defaultSeed  = 0x9e3779b97f4a7c15 // 2^64 / golden ratio; any constant does
)

// CallOptions is what the [CallOption] functions set. The zero value means any worker, no
// retries and no limits.
type CallOptions struct {
	Timeout time.Duration // 0: none
	Retries int           // attempts after the first
	On      []int         // ranks; nil: any
	Fresh   bool          // a process of its own
	Service bool          // a worker of its own, not counted among the pool's
	Memory  int64         // bytes; 0: no limit
}

// CallOption is one option of a call; see [Func.With].
type CallOption func(*CallOptions)

// Timeout bounds how long a row may run, counted from its start. When the time has passed
// the task's context ends; the row ends with [ErrTimeout] once the task has returned, or
// once its worker has been killed after Options.Grace. 0: no limit. A negative value is
// refused, like an option that the executor does not offer.
func Timeout(d time.Duration) CallOption { return func(o *CallOptions) { o.Timeout = d } }

// Retries runs a failed row again, up to n more times: the row then runs at least once
// instead of at most once. It is run again immediately, with a new Timeout, after an
// error returned by f, a panic, a worker's death, a time-out, or use of memory beyond its
// bound. Rows that were cancelled, could not be encoded, or ask for something the
// executor does not offer are not run again, nor are rows that have cost three workers
// their lives; workers killed because a row's time was over do not count. The arguments
// must not change until the call has ended. 0: no retries. A negative n is refused.
func Retries(n int) CallOption { return func(o *CallOptions) { o.Retries = n } }

// On restricts a row to the given ranks; it runs on whichever of them is free first.
// Broadcast runs once on each, in that order. If the executor does not have one of the
// ranks, the call ends with an error that says which there are. On() allows any rank.
func On(ranks ...int) CallOption {
	if len(ranks) == 0 {
		ranks = nil
	}
	return func(o *CallOptions) { o.On = slices.Clone(ranks) }
}

// Fresh runs each row in a process that has run nothing before and runs nothing
// afterwards, on the rank that is free first, or on one of On's.
func Fresh() CallOption { return func(o *CallOptions) { o.Fresh = true } }

// Service gives each row a worker of its own, not counted among the pool's, for as long
// as the row runs. In a [Table] its context ends when the ordinary rows have ended; with
// Call and Go it is the call's. Service is refused together with On.
func Service() CallOption { return func(o *CallOptions) { o.Service = true } }

// Memory bounds the private memory that the row's worker may use while it runs the row,
// in bytes, at least 8 MiB, in place of Options.Memory; a row that uses more ends with
// ErrMemory, and its worker with it. Linux only; elsewhere the row ends with an error
// that wraps errors.ErrUnsupported.
func Memory(bytes int64) CallOption { return func(o *CallOptions) { o.Memory = bytes } }

// first names the first option that is set; empty: none is.
func (o *CallOptions) first() string {
	switch {
	case o.Timeout != 0:
		return "Timeout"
	case o.Retries != 0:
		return "Retries"
	case len(o.On) > 0:
		return "On"
	case o.Fresh:
		return "Fresh"
	case o.Service:
		return "Service"
	case o.Memory != 0:
		return "Memory"
	}
	return ""
}

// refused names the first option that makes no sense.
func (o *CallOptions) refused() error {
	switch {
	case o.Timeout < 0:
		return invalid("xme: option Timeout is %v, which is invalid: 0 sets no limit, or give more", o.Timeout)
	case o.Retries < 0:
		return invalid("xme: option Retries is %d, which is invalid: give 0 or more", o.Retries)
	case o.Memory < 0 || o.Memory > 0 && o.Memory < minMemory:
		return invalid("xme: option Memory is %d bytes, which is invalid: 0 sets no bound, the least is %d", o.Memory, int64(minMemory))
	case o.Service && len(o.On) > 0:
		return invalid("xme: options Service and On exclude each other: a service has a worker of its own")
	}
	return nil
}

// invalidOptionError is an option that no executor could honour. It wraps
// errors.ErrUnsupported, as one does that this executor does not offer, but does not say so.
type invalidOptionError struct{ text string }

func (e *invalidOptionError) Error() string { return e.text }
func (e *invalidOptionError) Unwrap() error { return errors.ErrUnsupported }

func invalid(format string, args ...any) error {
	return &invalidOptionError{fmt.Sprintf(format, args...)}
}

// unsupported says that what is not offered.
func unsupported(what string) error {
	return fmt.Errorf("%s is not offered here: %w", what, errors.ErrUnsupported)
}
