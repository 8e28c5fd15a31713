package xmelog

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// file appends to a file, which it holds open only while it is written to.
type file struct {
	path string

	mu    sync.Mutex
	f     *os.File
	close *time.Timer
	used  bool // since the timer was set
}

// openTime is for how long a file stays open without a line.
const openTime = time.Second

// maxOpen is how many files stay open at once; more are closed after each line.
const maxOpen = 64

// opened counts the files that are open.
var opened atomic.Int64

// openFile sees that a file can be opened for appending.
func openFile(path string) (*file, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f := &file{path: path}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.open(); err != nil {
		return nil, err
	}
	f.shut()
	return f, nil
}

// open opens the file if it is not open. f.mu is held.
func (f *file) open() error {
	if f.f != nil {
		f.used = true
		return nil
	}
	opening, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	f.f = opening
	opened.Add(1)
	return nil
}

// shut closes the file. f.mu is held.
func (f *file) shut() {
	_ = f.f.Close()
	f.f = nil
	opened.Add(-1)
}

// idle closes the file if it has not been used of late.
func (f *file) idle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.f == nil:
		return
	case f.used:
		f.used = false
		f.close.Reset(openTime)
		return
	}
	f.shut()
}

func (f *file) write(b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.f != nil
	if err := f.open(); err != nil {
		return err
	}
	_, err := f.f.Write(b)
	switch {
	case was:
	case opened.Load() > maxOpen:
		f.shut()
	case f.close == nil:
		f.close = time.AfterFunc(openTime, f.idle)
	default:
		f.close.Reset(openTime)
	}
	return err
}

// both hands records to a handler of another package, and to one of this that writes
// them to a file, or only says which levels count.
type both struct {
	slog.Handler
	file slog.Handler
	free bool // no level was asked for: Handler's counts alone
}

// beside returns a handler that does with records what h does, and what set asks for.
func beside(h slog.Handler, set func(*Options)) (slog.Handler, error) {
	var o Options
	set(&o)
	own, err := New(nil, o)
	if err != nil {
		return nil, err
	}
	return &both{h, own, o.Level == nil}, nil
}

func (b *both) Enabled(ctx context.Context, level slog.Level) bool {
	if b.free {
		return b.Handler.Enabled(ctx, level)
	}
	return b.file.Enabled(ctx, level) && (b.Handler.Enabled(ctx, level) || b.file.(*Handler).file != nil)
}

func (b *both) Handle(ctx context.Context, r slog.Record) error {
	err := b.file.Handle(ctx, r.Clone())
	if b.Handler.Enabled(ctx, r.Level) {
		err = errors.Join(b.Handler.Handle(ctx, r), err)
	}
	return err
}

func (b *both) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &both{b.Handler.WithAttrs(attrs), b.file.WithAttrs(attrs), b.free}
}

func (b *both) WithGroup(name string) slog.Handler {
	return &both{b.Handler.WithGroup(name), b.file.WithGroup(name), b.free}
}

// WithOptions is what [With] calls.
func (b *both) WithOptions(set func(*Options)) (slog.Handler, error) {
	free := b.free
	own, err := b.file.(*Handler).WithOptions(func(o *Options) {
		if free {
			o.Level = nil
		}
		set(o)
		free = o.Level == nil
	})
	if err != nil {
		return nil, err
	}
	return &both{b.Handler, own, free}, nil
}
