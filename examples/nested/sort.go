package main

import (
	"context"
	"os"
	"slices"

	"github.com/xenonmp/xme"
)

// part is what a task sorts; Leaf is how many numbers it does not divide any more.
type part struct {
	Numbers []int64
	Leaf    int
}

// sorted is a part in order, and who had a hand in it.
type sorted struct {
	Numbers []int64
	Tasks   int
	PIDs    []int
}

// mergeSort calls itself, so it is registered in init: a package-level initialiser that named it would be a cycle.
var mergeSort *xme.Func[part, sorted]

func init() {
	mergeSort = xme.Register("mergeSort", func(ctx context.Context, p part) (sorted, error) {
		if len(p.Numbers) <= p.Leaf {
			slices.Sort(p.Numbers)
			return sorted{p.Numbers, 1, []int{os.Getpid()}}, nil
		}
		half := len(p.Numbers) / 2
		here := xme.Current(ctx)
		left := mergeSort.Go(ctx, here, part{p.Numbers[:half], p.Leaf}) // beside the right one
		right, err := mergeSort.Call(ctx, here, part{p.Numbers[half:], p.Leaf})
		if err != nil {
			return sorted{}, err // the left half's call ends with this task
		}
		first, err := left.Wait(ctx)
		if err != nil {
			return sorted{}, err
		}
		return merge(first, right), nil
	})
}

func merge(a, b sorted) sorted {
	out := make([]int64, 0, len(a.Numbers)+len(b.Numbers))
	x, y := a.Numbers, b.Numbers
	for len(x) > 0 && len(y) > 0 {
		if x[0] <= y[0] {
			out, x = append(out, x[0]), x[1:]
		} else {
			out, y = append(out, y[0]), y[1:]
		}
	}
	pids := append(append(a.PIDs, b.PIDs...), os.Getpid())
	slices.Sort(pids)
	return sorted{append(append(out, x...), y...), a.Tasks + b.Tasks + 1, slices.Compact(pids)}
}
