package xme

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options says how a pool is made. The zero value works: one worker per CPU that
// this process may use.
type Options struct {
	// Workers is how many processes run rows side by side. 0: as many as CPUs
	// this process may use (affinity and cgroup quota included). More than CPUs
	// is allowed, a negative number is refused.
	Workers int

	// Setup runs first in every worker, replacements included; see [Func.Setup].
	// The zero value runs nothing. If it fails in the first worker, Open returns
	// its error.
	Setup Setup

	// Queue is how many calls the pool accepts that have not ended; further
	// Submits wait. 0: 1<<20.
	Queue int

	// MaxMessage is the largest argument or result in bytes once encoded. A larger
	// one ends its call with ErrEncode before anything is sent. 0: 1 GiB; at most
	// 2 GiB - 64 KiB.
	MaxMessage int

	// Seed is what [Seed] derives every row's seed from. 0: a fixed constant, so
	// that runs repeat.
	Seed uint64

	// Env is the workers' environment, "key=value" each. nil: the driver's, as it
	// is at Open. GOMAXPROCS and the thread counts of OpenMP, OpenBLAS and MKL are
	// added where they are not set, so that workers times threads do not exceed the
	// CPUs.
	Env []string

	// Dir is the workers' directory. Empty: the driver's, as it is at Open.
	Dir string

	// Grace is what a task has to return in once its context has ended or its
	// Timeout has passed. Then its worker is asked for a dump of its goroutines,
	// which its Error keeps, and killed. 0: 1 s. Negative: none.
	Grace time.Duration

	// Stdout and Stderr take what tasks write to their standard output and error,
	// line by line, each behind its process's id. A writer that blocks never blocks
	// a worker: lines are then dropped, counted, and the count written. nil: the
	// driver's own.
	Stdout, Stderr io.Writer

	// StartTimeout is what a worker has to reach Init in. 0: 30 s.
	StartTimeout time.Duration

	// Link is how the driver talks to its workers. The zero value takes the best
	// this system offers.
	Link Link

	// MaxProcesses bounds the processes that nested calls may add. Nested calls
	// are not built yet: another value than 0 is refused.
	MaxProcesses int

	// Shared bounds shared memory, in bytes. Shared memory is not built yet:
	// another value than 0 is refused.
	Shared int64
}

// Link is a kind of connection between driver and worker.
type Link int

// The links.
const (
	LinkAuto   Link = iota // the best this system offers
	LinkSocket             // an inherited socket pair; open files can cross
	LinkPipe               // inherited pipes: the portable form
)

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
	case o.MaxProcesses != 0:
		return o, fmt.Errorf("xme: Options.MaxProcesses (nested calls): %w", errors.ErrUnsupported)
	case o.Shared != 0:
		return o, fmt.Errorf("xme: Options.Shared (shared memory): %w", errors.ErrUnsupported)
	case runtime.GOOS == "windows" && o.Link == LinkSocket:
		return o, fmt.Errorf("xme: Options.Link: no socket link on windows: %w", errors.ErrUnsupported)
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
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
	o.Env = withThreads(slices.Clone(o.Env), o.Workers)
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
func withThreads(env []string, workers int) []string {
	threads := strconv.Itoa(max(1, runtime.GOMAXPROCS(0)/workers))
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
	defaultSeed  = 0x9e3779b97f4a7c15 // 2^64 / golden ratio; any constant does
)

// CallOptions is what [CallOption] functions set. The zero value means: any
// worker, no retry, no limit.
type CallOptions struct {
	Timeout time.Duration // 0: none
	Retries int           // attempts after the first
	On      []int         // ranks; nil: any
	Fresh   bool          // a process of its own
	Service bool          // a worker of its own, beside the pool's count
	Memory  int64         // bytes; 0: no limit
}

// CallOption is one option of a call; see [Func.With].
type CallOption func(*CallOptions)

// Timeout bounds the time a row runs, counted from its start.
func Timeout(d time.Duration) CallOption { return func(o *CallOptions) { o.Timeout = d } }

// Retries runs a failed row again, up to n more times: at least once instead of
// at most once. Rows that were cancelled, could not be encoded, or ask for what
// the executor does not offer are not run again. The arguments must not change
// until the call has ended.
func Retries(n int) CallOption { return func(o *CallOptions) { o.Retries = n } }

// On lets a row run on the given ranks only: whichever of them is free first. For
// Broadcast: once on each, in that order.
func On(ranks ...int) CallOption {
	return func(o *CallOptions) { o.On = slices.Clone(ranks) }
}

// Fresh runs each row in a process of its own that ran nothing before.
func Fresh() CallOption { return func(o *CallOptions) { o.Fresh = true } }

// Service gives each row a worker of its own beside the pool's count; its context
// ends when the table's ordinary rows have ended.
func Service() CallOption { return func(o *CallOptions) { o.Service = true } }

// Memory bounds what a row's worker may use, in bytes.
func Memory(bytes int64) CallOption { return func(o *CallOptions) { o.Memory = bytes } }

// refused names the first option that no executor of this package can honour.
func (o *CallOptions) refused() error {
	name := ""
	switch {
	case o.Timeout < 0:
		return fmt.Errorf("xme: option Timeout is %v: give it more than 0", o.Timeout)
	case o.Fresh:
		name = "Fresh"
	case o.Service:
		name = "Service"
	case o.Memory != 0:
		name = "Memory"
	default:
		return nil
	}
	return unsupported("option " + name)
}

// unsupported says that what is not offered.
func unsupported(what string) error {
	return fmt.Errorf("%s is not offered here: %w", what, errors.ErrUnsupported)
}
