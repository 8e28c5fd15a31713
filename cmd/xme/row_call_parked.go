package main

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/sys"
)

func init() {
	rows = append(rows, row{
		name:    "call-parked",
		what:    "Call after 5 ms of idleness, driver pinned to one CPU, worker to another; median",
		floorIs: "2 processes pinned alike and idle as long: futex wake, answer, wake; the caller spins for 200 µs before it sleeps, too",
		unit:    inSeconds,
		measure: measureCallParked,
		figure:  timesFloor, figureUnit: asRatio, must: 1.3, reach: 1.0,
	})
	roles["futex"] = func(memory []byte, _ string) error {
		return answerCalls(memory, futexNotify, futexAwait)
	}
}

const (
	idleness   = 5 * time.Millisecond
	callerSpin = 200 * time.Microsecond
)

func measureCallParked(ctx context.Context, quick bool) (s sample, err error) {
	rounds := 150
	if quick {
		rounds = 3
	}
	p, err := startPeer(ctx, "futex", 2*line)
	if err != nil {
		return s, err
	}
	defer closePeers(&err, p)
	pool, err := xme.Open(ctx, alone())
	if err != nil {
		return s, err
	}
	defer pool.Close()
	on, err := pinned(false, p.pid(), pool.Workers()[0].PID)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, on.undo()) }()
	words, call := newPingPong(p), caller(ctx, pool)
	words.wake, words.wait = futexNotify, spinThenFutex
	if err := words.start(); err != nil {
		return s, err
	}
	once := func(call func() error) func() (float64, error) {
		return func() (float64, error) {
			<-time.After(idleness)
			start := time.Now()
			err := call()
			return time.Since(start).Seconds(), err
		}
	}
	s, err = alternate(ctx, rounds, once(words.trip), once(call))
	if err == nil {
		err = words.stop()
	}
	return s, err
}

func futexNotify(w *atomic.Uint32) { _, _ = sys.FutexWake(w, 1) }

// futexAwait sleeps until the word is another than old. Whoever serves so has to wait for calls that may not come for
// long, so it does not give up: it ends with its process.
func futexAwait(w *atomic.Uint32, old uint32) (uint32, error) {
	for {
		if v := w.Load(); v != old {
			return v, nil
		}
		if err := sys.FutexWait(w, old, silence); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
	}
}

// spinThenFutex is the caller's side: it spins first, for an answer may come sooner than a sleeper wakes.
func spinThenFutex(w *atomic.Uint32, old uint32) (uint32, error) {
	for start := time.Now(); time.Since(start) < callerSpin; {
		for range 64 {
			if v := w.Load(); v != old {
				return v, nil
			}
		}
	}
	for late := time.Now().Add(silence); ; {
		if v := w.Load(); v != old {
			return v, nil
		}
		switch err := sys.FutexWait(w, old, silence); {
		case errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(late):
			return 0, errSilent
		case err != nil:
			return 0, err
		}
	}
}
