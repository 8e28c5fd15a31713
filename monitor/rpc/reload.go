package rpc

import (
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// reloader has what files say, and reads them again when they have changed. What cannot be read leaves the last state as it is.
type reloader[S any] struct {
	files []string // empty names are none
	read  func() (*S, error)

	mu     sync.Mutex // of loading
	looked time.Time
	stamps []stamp
	state  atomic.Pointer[S]
	failed atomic.Pointer[error]
}

// stamp says whether a file has changed.
type stamp struct {
	mod  time.Time
	size int64
}

// made reports whether there is anything to load: not of a zero value.
func (r *reloader[S]) made() bool { return r.read != nil }

// load reads the files. If that fails everything stays as it was.
func (r *reloader[S]) load() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loadLocked()
}

func (r *reloader[S]) loadLocked() error {
	r.looked = time.Now()
	stamps := r.stampAll() // before reading: what changes meanwhile is seen the next time
	s, err := r.read()
	if err != nil {
		r.failed.Store(&err)
		return err
	}
	r.stamps = stamps
	r.state.Store(s)
	r.failed.Store(nil)
	return nil
}

func (r *reloader[S]) stampAll() []stamp {
	all := make([]stamp, len(r.files))
	for i, name := range r.files {
		if name == "" {
			continue
		}
		if info, err := os.Stat(name); err == nil {
			all[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return all
}

// current returns the state, of files that have changed, or could not be read, the new one. It looks once a second.
func (r *reloader[S]) current() *S {
	if r.mu.TryLock() { // who loads does so for others too
		if now := time.Now(); now.Sub(r.looked) >= time.Second || now.Before(r.looked) {
			r.looked = now
			if r.failed.Load() != nil || !slices.Equal(r.stampAll(), r.stamps) {
				_ = r.loadLocked() // err has it
			}
		}
		r.mu.Unlock()
	}
	return r.state.Load()
}

// err is why the files could not be read last; nil: they could.
func (r *reloader[S]) err() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// mostFile is how large a file may be.
const mostFile = 16 << 20

// readFile reads a file of bounded size.
func readFile(name string) ([]byte, error) {
	text, err := readBounded(name)
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return text, nil
}

func readBounded(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // to open a pipe would wait
		return nil, fmt.Errorf("%s is no file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostFile+1))
	if err == nil && len(text) > mostFile {
		err = fmt.Errorf("%s has more than %d bytes, which is too large", name, mostFile)
	}
	return text, err
}
