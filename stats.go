package xme

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/xenonmp/xme/internal/link"
)

// Stats counts what a pool has done so far. Its JSON keys are in lower case and will not
// change; times are in nanoseconds.
type Stats struct {
	Processes int         `json:"processes"`  // that are alive now: workers, spares, services, nested calls
	Spares    int         `json:"spares"`     // of these, ready to take another's place
	Queued    int         `json:"queued"`     // calls waiting in the driver
	Running   int         `json:"running"`    // calls with a worker
	Done      uint64      `json:"done"`       // calls that ended with a result
	Failed    uint64      `json:"failed"`     // calls that ended with an error
	Retried   uint64      `json:"retried"`    // further attempts at calls that had failed
	Starts    uint64      `json:"starts"`     // processes started
	Restarts  uint64      `json:"restarts"`   // times that a rank was given another process: after a death, a Fresh row, or Options.Recycle
	Deaths    uint64      `json:"deaths"`     // processes that ended before they were told to
	TakenBack uint64      `json:"taken_back"` // rows taken back from a slow worker to give to another
	Memory    string      `json:"memory"`     // how Options.Memory is enforced here; empty: it is 0
	Functions []FuncStats `json:"functions"`  // those that have had calls, by name
}

// FuncStats counts the calls of one function, including those that tasks make.
//
// The times are measured in the workers, from the beginning of a row to its end, decoding
// and encoding included. Rows of less than 4 µs are measured several together. A row
// whose worker died counts as far as the driver saw it: not at all if it had run for less
// than about 40 ms, otherwise to within 20 ms.
type FuncStats struct {
	Name    string        `json:"name"`    // the full name
	Done    uint64        `json:"done"`    // calls that ended with a result
	Failed  uint64        `json:"failed"`  // calls that ended with an error
	Retried uint64        `json:"retried"` // further attempts at calls that had failed
	Runs    uint64        `json:"runs"`    // attempts that ran in a worker and have ended
	Busy    time.Duration `json:"busy_ns"` // time they took in all
	Longest time.Duration `json:"longest_ns"`
}

// Mean returns the average time of a run, or 0 if there was none.
func (f FuncStats) Mean() time.Duration {
	if f.Runs == 0 {
		return 0
	}
	return f.Busy / time.Duration(f.Runs)
}

// Stats returns the counts so far. Counts do not change once [Pool.Close] has returned.
func (p *Pool) Stats() Stats {
	s := p.opened().Stats()
	stats := Stats{
		Memory: p.bounds, Processes: s.Processes, Spares: s.Spares, Queued: s.Queued, Running: s.Running,
		Done: s.Done, Failed: s.Failed, Retried: s.Retried,
		Starts: s.Starts, Restarts: s.Restarts, Deaths: s.Deaths, TakenBack: s.TakenBack,
		Functions: []FuncStats{},
	}
	for i, f := range s.Functions { // in the function table's order: by name
		if f.Done+f.Failed+f.FailedRuns > 0 {
			stats.Functions = append(stats.Functions, FuncStats{
				Name: table.at(uint16(i)).nameOf(), Done: f.Done, Failed: f.Failed, Retried: f.Retried, Runs: f.Done + f.FailedRuns, Busy: f.Busy, Longest: f.Longest,
			})
		}
	}
	return stats
}

// Var returns the pool's [Stats] as a variable for package expvar, whose String method
// returns the current JSON at each call:
//
//	expvar.Publish("pool", pool.Var())
//
// (This package does not import expvar, which would bring a web server into every
// worker.)
func (p *Pool) Var() fmt.Stringer { return statsVar{p} }

type statsVar struct{ p *Pool }

func (v statsVar) String() string {
	b, err := json.Marshal(v.p.Stats())
	if err != nil {
		return "null" // it holds nothing that could fail
	}
	return string(b)
}

// rowOf returns the index of a row that a pool runs, -1 if it has none or its worker's
// task made it.
func rowOf(r *link.Row) int {
	if c, ok := r.Owner.(*rowOwner); ok {
		return c.index
	}
	return -1
}
