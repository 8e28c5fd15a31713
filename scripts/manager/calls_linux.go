package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/shm"
)

// use is what a process uses.
type use struct {
	heap, rss   int64
	descriptors int
}

func (u use) String() string {
	return fmt.Sprintf("heap %d KiB, resident %d KiB, %d descriptors", u.heap>>10, u.rss>>10, u.descriptors)
}

// How much more a process may use after the calls.
const (
	moreHeap     = 2 << 20
	moreResident = 8 << 20
)

// spareStarts is when the spare that stands behind the manager's process, which is always busy, has been started for certain: a second after it.
const spareStarts = 2 * time.Second

// callers is how many goroutines call.
const callers = 4

// calls makes many calls and looks at what is used before and after.
func calls(ctx context.Context, s *soak, _ time.Duration) error {
	return withManager(ctx, manager.Options{Process: true}, func(m *manager.Manager) error {
		return withArray(1, func(a *shm.Array[int64]) error {
			o, err := manager.ShareNew(ctx, m, "", newTool, 0)
			if err != nil {
				return err
			}
			c := caller{o, a}
			warm := max(s.calls/10, 20_000)
			if err := c.calls(ctx, warm); err != nil {
				return err
			}
			<-time.After(spareStarts)
			here, there, err := c.uses(ctx)
			if err != nil {
				return err
			}
			begin := time.Now()
			if err := c.calls(ctx, s.calls); err != nil {
				return err
			}
			took := time.Since(begin)
			hereAfter, thereAfter, err := c.uses(ctx)
			if err != nil {
				return err
			}
			s.compare("the driver", here, hereAfter)
			s.compare("the manager", there, thereAfter)
			s.say("%d calls in %v", s.calls, took.Round(time.Millisecond))
			if n, err := toolAdd.Call(ctx, o, 0); err != nil || n != callers*(warm/callers)+callers*(s.calls/callers) {
				s.wrong("%d counted of %d (%v)", n, warm+s.calls, err)
			}
			return o.Release(ctx)
		})
	})
}

func (s *soak) compare(who string, before, after use) {
	s.say("%s: before: %v; after: %v", who, before, after)
	if after.heap > before.heap+moreHeap || after.rss > before.rss+moreResident || after.descriptors > before.descriptors {
		s.wrong("%s has grown", who)
	}
}

// caller calls an object.
type caller struct {
	o *manager.Object[tool]
	a *shm.Array[int64]
}

// calls makes n calls, of which some have bytes or shared memory.
func (c caller) calls(ctx context.Context, n int) error {
	errs := make([]error, callers)
	var all sync.WaitGroup
	for g := range callers {
		all.Go(func() {
			for i := range n / callers {
				if err := c.call(ctx, i); err != nil {
					errs[g] = err
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (c caller) call(ctx context.Context, i int) error {
	if _, err := toolAdd.Call(ctx, c.o, 1); err != nil {
		return err
	}
	switch i % 100 {
	case 0:
		_, err := toolFill.Call(ctx, c.o, c.a)
		return err
	case 1:
		b := bytes.Repeat([]byte{byte(i)}, i%50_000)
		got, err := toolEcho.Call(ctx, c.o, b)
		if err == nil && !bytes.Equal(got, b) {
			err = errors.New("other bytes came back")
		}
		return err
	}
	return nil
}

// uses looks at this process and at the manager's.
func (c caller) uses(ctx context.Context) (here, there use, err error) {
	<-time.After(100 * time.Millisecond)
	pid, err := toolPID.Call(ctx, c.o, struct{}{})
	if err != nil {
		return here, there, err
	}
	h, err := toolHeap.Call(ctx, c.o, struct{}{})
	if err != nil {
		return here, there, err
	}
	here, there = uses(os.Getpid()), uses(pid)
	here.heap, there.heap = int64(heap()), int64(h)
	return here, there, nil
}

// uses looks at a process from outside.
func uses(pid int) (u use) {
	if pid == os.Getpid() {
		heap() // what is free goes back
	}
	var size int64
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err == nil {
		_, _ = fmt.Sscan(string(b), &size, &u.rss)
		u.rss *= int64(os.Getpagesize())
	}
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	u.descriptors = len(fds)
	return u
}
