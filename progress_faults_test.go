package xme_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// However a run ends, its hook is told once, with what had ended until then.
//
// feature: S12
func TestProgressEnds(t *testing.T) {
	t.Parallel()
	row := errand{Takes: time.Second}
	endless := func(context.Context) iter.Seq[errand] {
		return func(yield func(errand) bool) {
			for yield(row) {
			}
		}
	}
	one := func(end func(context.Context)) func(context.Context) iter.Seq[errand] {
		return func(ctx context.Context) iter.Seq[errand] {
			return func(yield func(errand) bool) {
				yield(row)
				end(ctx)
			}
		}
	}
	for name, open := range progressOn {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for end, c := range map[string]struct {
				ways []string
				in   func(context.Context) iter.Seq[errand]
				most int
				end  func(cancel context.CancelFunc, on xme.Executor)
				want func(p xme.Progress) bool
			}{
				"break": {
					[]string{"Map", "Unordered"},
					endless, 2, nil,
					func(p xme.Progress) bool { return p.Done >= 2 && p.Failed == 0 && p.Total == -1 },
				},
				"break while the input blocks": {
					[]string{"Map", "Unordered"},
					one(func(ctx context.Context) { <-ctx.Done() }), 1, nil,
					func(p xme.Progress) bool { return p.Done == 1 && p.Failed == 0 && p.Total == -1 },
				},
				"context": {
					[]string{"Map", "Unordered", "Table"},
					endless, 0, func(cancel context.CancelFunc, _ xme.Executor) { cancel() },
					func(p xme.Progress) bool { return p.Done >= 2 && p.Total == -1 },
				},
				"pool closed": {
					[]string{"Map", "Unordered", "Table"},
					endless, 0, func(cancel context.CancelFunc, on xme.Executor) {
						if p, ok := on.(*xme.Pool); ok {
							_ = p.Close()
						} else {
							cancel()
						}
					},
					func(p xme.Progress) bool { return p.Done >= 2 && p.Total == -1 },
				},
				"panic of the input": {
					[]string{"Map", "Unordered", "Table"},
					one(func(context.Context) { panic("the input's") }), 0, nil,
					func(p xme.Progress) bool { return p.Done == 1 && p.Failed == 0 && p.Total == -1 },
				},
				"nothing to run": {
					[]string{"Map", "Unordered", "Table"},
					func(context.Context) iter.Seq[errand] { return func(func(errand) bool) {} }, 0,
					func(cancel context.CancelFunc, _ xme.Executor) { cancel() }, // services alone run on
					func(p xme.Progress) bool { return p.Done == 0 && p.Failed == 0 && p.Total == 0 },
				},
			} {
				for _, way := range c.ways {
					t.Run(end+"/"+way, func(t *testing.T) {
						if name == "other" && (end == "break" || end == "context" || end == "pool closed") {
							t.Skip("it takes any number of rows at once")
						}
						synctest.Test(t, func(t *testing.T) {
							on := open(t)
							var o observed
							ctx, cancel := context.WithCancel(t.Context())
							defer cancel()
							if c.end != nil {
								time.AfterFunc(10500*time.Millisecond, func() { c.end(cancel, on) })
							}
							func() {
								defer func() {
									if r := recover(); (r != nil) != (end == "panic of the input") {
										t.Errorf("panic %v", r)
									}
								}()
								_ = runs[way](xme.WithProgress(ctx, 0, o.hook), on, c.in(ctx), c.most)
							}()
							if p := o.last(t, 1); !c.want(p) || p.Left != 0 {
								t.Errorf("over with %+v", p)
							}
						})
					})
				}
			}
		})
	}
}

// A hook that blocks, panics, ends its goroutine, or calls the pool hangs nobody. Its
// panic reaches who ranges, with its place, after all rows.
//
// feature: S12
func TestProgressHookMisbehaves(t *testing.T) {
	t.Parallel()
	rows := slices.Repeat([]errand{{Takes: time.Second}}, 3)
	for way, run := range runs {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				pool := xmetest.OpenInProcess(t, xme.Options{Workers: 1})
				within := func(what string, hook func(xme.Progress)) error {
					begun := time.Now()
					in := slices.Values(rows)
					var err error
					func() {
						defer func() { err, _ = recover().(error) }()
						if e := run(xme.WithProgress(t.Context(), 0, hook), pool, in, 0); e != nil {
							t.Errorf("%s: %v", what, e)
						}
					}()
					if took := time.Since(begun); took < 3*time.Second || took > 4*time.Second {
						t.Errorf("%s: the run took %v; want 3 s, and one more at most", what, took)
					}
					return err
				}
				blocked := make(chan struct{})
				var once sync.Once
				if err := within("a hook that blocks", func(xme.Progress) { <-blocked }); err != nil {
					t.Error(err)
				}
				if err := within("one that blocks at the end", func(p xme.Progress) {
					if p.Over {
						<-blocked
					}
				}); err != nil {
					t.Error(err)
				}
				close(blocked)
				err := within("one that panics", func(xme.Progress) { panic("on purpose") })
				if err == nil || !strings.HasPrefix(err.Error(), "on purpose\n") || !strings.Contains(err.Error(), "in the hook of WithProgress:") || !strings.Contains(err.Error(), "progress_faults_test.go:") {
					t.Errorf("its panic: %v", err)
				}
				err = within("one that panics at the end", func(p xme.Progress) {
					if p.Over {
						panic("at the end")
					}
				})
				if err == nil || !strings.HasPrefix(err.Error(), "at the end\n") {
					t.Errorf("its panic: %v", err)
				}
				err = within("one that ends its goroutine", func(xme.Progress) { runtime.Goexit() })
				if err == nil || !strings.Contains(err.Error(), "runtime.Goexit") {
					t.Errorf("its end: %v", err)
				}
				if err := within("one that looks at the pool", func(xme.Progress) { pool.Stats(); pool.Workers() }); err != nil {
					t.Error(err)
				}
				if err := within("one that calls", func(xme.Progress) {
					once.Do(func() { // it waits for its turn among the rows
						if n, err := square.Call(t.Context(), pool, 3); n != 9 || err != nil {
							t.Errorf("%d, %v", n, err)
						}
					})
				}); err != nil {
					t.Error(err)
				}
				closed := func() error { return pool.Close() }
				drain(runsErrand.Map(xme.WithProgress(t.Context(), 0, func(xme.Progress) { _ = closed() }), pool, slices.Values(rows)))
			})
		})
	}
}

// A panic of the loop's body is not replaced by the hook's.
//
// feature: S12
func TestProgressKeepsTheLoopsPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if r := recover(); r != "the loop's" {
				t.Errorf("recovered %v", r)
			}
		}()
		ctx := xme.WithProgress(t.Context(), 0, func(xme.Progress) { panic("the hook's") })
		for _, err := range runsErrand.Map(ctx, xme.Inline(), slices.Values([]errand{{Takes: time.Second}})) {
			_ = err
			panic("the loop's")
		}
	})
}

// Runs under one context report each for itself: one after the other, one that is
// another's input, a task's own not at all.
//
// feature: S12
func TestProgressOfSeveralRuns(t *testing.T) {
	t.Parallel()
	for name, open := range progressOn {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				on := open(t)
				var o observed
				ctx := xme.WithProgress(t.Context(), 0, o.hook)
				for n := range 2 {
					drain(square.Map(ctx, on, slices.Values(make([]int, n+1))))
					wantProgress(t, o.last(t, n+1), xme.Progress{Run: n + 1, Total: n + 1, Done: n + 1, Over: true})
				}
				inner := func(yield func(int) bool) {
					for n, err := range runsErrand.Map(ctx, on, slices.Values(slices.Repeat([]errand{{Takes: time.Second}}, 5))) {
						if err != nil || !yield(n) {
							return
						}
					}
				}
				drain(square.Map(ctx, on, inner))
				a, b := o.last(t, 3), o.last(t, 4)
				if a.Done != 5 || b.Done != 5 {
					t.Errorf("a Map in a Map: %+v and %+v", a, b)
				}
				drain(mapsItself.Map(ctx, on, slices.Values([]int{2, 2})))
				wantProgress(t, o.last(t, 5), xme.Progress{Run: 5, Total: 2, Done: 2, Over: true})
				for _, p := range o.list {
					if p.Run > 5 {
						t.Errorf("a task's own run was reported: %+v", p)
					}
				}
			})
		})
	}
}

// mapsItself makes a run in a task, and one that it has reported.
var mapsItself = xme.Register("mapsItself", func(ctx context.Context, n int) (int, error) {
	in := slices.Values(make([]int, n))
	drain(square.Map(ctx, xme.Current(ctx), in))
	told := 0
	drain(square.Map(xme.WithProgress(ctx, n, func(p xme.Progress) { told += p.Done }), xme.Current(ctx), in))
	if told != n {
		return 0, fmt.Errorf("a hook made in the task was told of %d rows", told)
	}
	return told, nil
})

// feature: S12
func TestProgressNeedsAHook(t *testing.T) {
	t.Parallel()
	defer func() {
		if r, _ := recover().(string); !strings.Contains(r, "nil hook") {
			t.Errorf("panic %q", r)
		}
	}()
	xme.WithProgress(t.Context(), 0, nil)
}
