package sys

// Facts is what a machine, or the container that stands for one, offers: as far as the engine cares, and can be told
// without changing anything. Where a system does not tell, numbers are negative and texts empty unless said otherwise.
type Facts struct {
	Kernel string // its release

	Online int     // CPUs that run
	CPUs   int     // that this process may use, at least 1
	Why    string  // what bounds CPUs
	Quotas []Level // CPU time in CPUs, of each control group level that has a quota, innermost first

	Memory    int64   // bytes, of the machine
	Available int64   // of it
	Swap      int64   // bytes
	Limits    []Level // memory in bytes, of each control group level that has a limit
	Tasks     []Level // how many processes and threads each control group level allows

	MemoryGroup   string // where a control group can be made for each worker; empty: nowhere
	NoMemoryGroup string // why not

	Overcommit int // vm.overcommit_memory: 0 heuristic, 1 always, 2 never
	Files      Limit
	Processes  Limit
	Root       bool // this process is root's, whom the limit on processes does not bind

	Shm          int64 // size of /dev/shm in bytes
	ReadOnlyRoot bool
	PID          int
	Init         string // the program of process 1
	Unreaped     int    // processes that have ended and that process 1 has not reaped
	Container    string // what tells that this is one: empty: nothing does

	Seccomp    int    // 0: none, 1: strict, 2: a filter
	Ptrace     int    // kernel.yama.ptrace_scope
	Cores      string // kernel.core_pattern
	HugePages  string // what transparent huge pages are made for
	Clock      string // where the kernel reads the time
	Governor   string // how CPU 0's frequency is chosen
	NotOffered string // why there are no more facts; empty: there are
}

// Level is what one control group says.
type Level struct {
	Name  string
	Value float64
	Left  float64 // of a bound: how much is not used yet; negative: not known
}

// Limit is one resource limit of this process; negative is none.
type Limit struct{ Soft, Hard int64 }

// Trial is one thing of the kernel that was tried, as the engine uses it.
type Trial struct {
	Name string
	Err  error // nil: it works
}

// The names of trials.
const (
	TryMemfd    = "memfd_create" // sealed, sized, mapped
	TryNoExec   = "memfd_create with MFD_NOEXEC_SEAL"
	TryEventfd  = "eventfd2"
	TryFutex    = "futex"
	TryPidfd    = "pidfd_open"
	TryYield    = "sched_yield"
	TryAffinity = "sched_setaffinity"
	TryRlimit   = "prlimit64"
	TrySockets  = "socketpair"
	TryLiveness = "fcntl F_SETSIG"
	TryProcSelf = "/proc/self/exe"
)
