package xme

import (
	"context"
	"slices"
	"testing"
)

// A row that somebody wants to be told of costs no allocation. (Others come and go.)
//
// feature: S13
func TestProgressAllocatesNothingPerRow(t *testing.T) {
	pool := openStub(t)
	const rows = 20000
	in := slices.Values(make([]int, rows))
	run := func(ctx context.Context) float64 {
		return testing.AllocsPerRun(5, func() {
			for _, err := range benchAdd.Map(ctx, pool, in) {
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	without := run(t.Context())
	told := 0
	with := run(WithProgress(t.Context(), rows, func(p Progress) { told += p.Done }))
	if told < 6*rows {
		t.Errorf("told of %d rows", told)
	}
	if with-without > rows/2 {
		t.Errorf("%v allocations for %d rows with a hook, %v without", with, rows, without)
	}
}
