package xme

import (
	"errors"
	"iter"
	"sync"
)

// Rows holds the results of one [Func.Add]. Its methods may be called from any goroutine;
// while the table runs they wait, and before that they return an error.
type Rows[Out any] struct {
	mu      sync.Mutex
	running bool
	ended   bool
	err     error // why there are no more rows than there are
	rows    []rowEnd[Out]
	news    chan struct{} // closed and made anew at every change somebody may wait for
	waiters int
}

// rowEnd is a row of a Rows.
type rowEnd[Out any] struct {
	value Out
	err   error
	done  bool
}

func (r *Rows[Out]) begin() {
	r.mu.Lock()
	r.running = true
	r.mu.Unlock()
}

// expect makes room for one more row.
func (r *Rows[Out]) expect() {
	r.mu.Lock()
	r.rows = append(r.rows, rowEnd[Out]{})
	r.mu.Unlock()
}

// endAll is end for several rows.
func (r *Rows[Out]) endAll(slots []int, ends []rowEnd[Out]) {
	r.mu.Lock()
	for i, slot := range slots {
		r.rows[slot] = ends[i]
	}
	r.tell()
	r.mu.Unlock()
}

func (r *Rows[Out]) end(slot int, v Out, err error) {
	r.mu.Lock()
	r.rows[slot] = rowEnd[Out]{v, err, true}
	r.tell()
	r.mu.Unlock()
}

func (r *Rows[Out]) over(err error) {
	r.mu.Lock()
	if !r.ended {
		r.ended, r.err, r.running = true, err, true
		r.tell()
	}
	r.mu.Unlock()
}

// tell wakes who waits. r.mu is held.
func (r *Rows[Out]) tell() {
	if r.waiters > 0 {
		close(r.news)
		r.news = make(chan struct{})
		r.waiters = 0
	}
}

var errNotRun = errors.New("xme: the table has not run: call its Run first")

// All yields each row's result in order; a row that failed yields its own error in its
// place. While the table runs All waits for each row. Before Run it yields one error. If
// Run ended before the input did, the last pair gives the reason.
func (r *Rows[Out]) All() iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		var none Out
		for i := 0; ; {
			r.mu.Lock()
			switch {
			case !r.running:
				r.mu.Unlock()
				yield(none, errNotRun)
				return
			case i < len(r.rows) && r.rows[i].done:
				row := r.rows[i]
				r.mu.Unlock()
				if !yield(row.value, row.err) {
					return
				}
				i++
				continue
			case i == len(r.rows) && r.ended:
				err := r.err
				r.mu.Unlock()
				if err != nil {
					yield(none, err)
				}
				return
			}
			r.waiters++
			news := r.news
			r.mu.Unlock()
			<-news
		}
	}
}

// Values returns all results in order, once the table has run. If rows failed, their
// places hold zero values without meaning, and the error says how many failed and wraps
// the first.
func (r *Rows[Out]) Values() ([]Out, error) {
	var values []Out
	var first error
	failed := 0
	for v, err := range r.All() {
		if is(err, errNotRun) {
			return nil, err
		}
		values = append(values, v)
		if err != nil {
			failed++
			if first == nil {
				first = err
			}
		}
	}
	r.mu.Lock()
	rows, why := len(r.rows), r.err
	r.mu.Unlock()
	values = values[:rows:rows]
	if why != nil {
		failed-- // the last pair is no row's
	}
	switch {
	case failed == 0:
		return values, why
	case why != nil:
		return values, errors.Join(rowsFailed(failed, rows, first), why)
	}
	return values, rowsFailed(failed, rows, first)
}
