package xme_test

import (
	"context"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// notes says that it has run, and does not wait.
var notes = xme.Register("notes", func(_ context.Context, g gate) (int, error) {
	_, err := g.Said.Write([]byte{1})
	return 7, err
})

// Services for which processes must be started while a single short row runs begin all the same, however soon that row has ended.
// feature: S10
func TestServicesBeginThoughRowsAreShort(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) xme.Executor{
		"pool":       func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 1, Spares: -1}) },
		"in process": func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: 1, Spares: -1}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on := open(t)
			begun, g, _ := gates(t)
			for range 3 {
				var tab xme.Table
				short := notes.With(xme.Service()).Add(&tab, xme.Repeat(2, g))
				long := serves.With(xme.Service()).Add(&tab, xme.Repeat(1, g))
				square.Add(&tab, xme.Repeat(1, 3))
				if err := tab.Run(t.Context(), on); err != nil {
					t.Fatal(err)
				}
				for _, rows := range []*xme.Rows[int]{short, long} {
					if got, err := rows.Values(); err != nil {
						t.Errorf("%v, %v", got, err)
					}
				}
				readBegun(t, begun, 3)
			}
		})
	}
}
