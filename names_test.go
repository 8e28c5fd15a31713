package xme_test

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/xmetest"
)

// A function's full name does not depend on where in its package it is registered, nor on how the program is built:
// as such, with -trimpath, or as a test.
//
// feature: S1, P2
func TestFullNames(t *testing.T) {
	if raced {
		t.Skip("it builds and runs programs without the race detector")
	}
	t.Parallel()
	var want strings.Builder
	for _, name := range []string{"direct", "closure", "generic", "method", "init"} {
		fmt.Fprintf(&want, "main.%s true <nil>\n", name)
	}
	want.WriteString("github.com/xenonmp/xme/testdata/programs/names/inner.v2.inner true <nil>\n")
	const program, quickly = "./testdata/programs/names", "-gcflags=all=-N -l -dwarf=false"
	for _, args := range [][]string{
		{"run", program},
		{"run", "-trimpath", quickly, program},
		{"test", "-v", program},
		{"test", "-v", "-trimpath", quickly, program},
	} {
		if slices.Contains(args, "-trimpath") && !long.Wanted() {
			continue // all that the program imports is compiled for it
		}
		out, err := exec.CommandContext(t.Context(), "go", args...).Output()
		if err != nil || !strings.Contains(string(out), want.String()) {
			t.Errorf("go %s: %v, printed:\n%s\nwant:\n%s", strings.Join(args, " "), err, out, want.String())
		}
	}
}

// rectangle has a method with a receiver, context and result.
type rectangle struct{ Width, Height float64 }

func (r rectangle) area(context.Context) (float64, error) { return r.Width * r.Height, nil }

// A method's receiver is the argument: a method value, which holds its receiver out of sight, could not cross.
var area = xme.Register("area", func(ctx context.Context, r rectangle) (float64, error) { return r.area(ctx) })

// A method runs in a worker with its receiver as the argument, copied like every other.
//
// feature: U2
func ExampleRegister_method() {
	pool := openPool(xme.Options{Workers: 1})
	defer pool.Close()
	fmt.Println(area.Call(context.Background(), pool, rectangle{2, 3}))
	// Output: 6 <nil>
}

// sparse crosses as a byte for every hundred of its cells.
type sparse struct{ cells []uint64 }

func (s sparse) MarshalText() ([]byte, error) { return make([]byte, len(s.cells)/100), nil }

func (s *sparse) UnmarshalText(b []byte) error {
	s.cells = make([]uint64, 100*len(b))
	return nil
}

var zeros = xme.Register("zeros", func(_ context.Context, n int) (sparse, error) { return sparse{make([]uint64, n)}, nil })

// A result's size that can only be estimated beforehand does not refuse what fits; what does not fit is refused all the same.
//
// feature: S9
func TestEstimateRefusesNothing(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1, MaxMessage: 8})
	if s, err := zeros.Call(t.Context(), pool, 100); err != nil || len(s.cells) != 100 {
		t.Errorf("%d cells, %v", len(s.cells), err)
	}
	if _, err := zeros.Call(t.Context(), pool, 1000); err == nil || !strings.Contains(err.Error(), "result of 11 bytes is over Options.MaxMessage (8)") {
		t.Errorf("a result over the limit: %v", err)
	}
}
