// Matrix multiplies two matrices that lie in shared memory: each call fills some rows of the product in place, nothing
// is copied. The same is done by goroutines, by turns, and by one loop, which the results must equal.
//
//	go run ./examples/matrix -n 2048 -p 2
//
// feature: M1
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// part is some rows of C, which is A × B, both n × n.
type part struct {
	A, B, C *shm.Array[float64]
	N       int
	Lo, Hi  int // rows
}

var multiply = xme.Register("multiply", func(_ context.Context, p part) (int, error) {
	product(p.C.Slice(), p.A.Slice(), p.B.Slice(), p.N, p.Lo, p.Hi)
	return p.Hi - p.Lo, nil
})

// matrices are what is multiplied, and into what.
type matrices struct {
	n       int
	p       int // workers, and goroutines
	a, b, c *shm.Array[float64]
}

// rows yields the parts of C, small enough to spread and large enough to be worth a call.
func (m matrices) parts() []part {
	const rows = 32
	var all []part
	for lo := 0; lo < m.n; lo += rows {
		all = append(all, part{A: m.a.ReadOnly(), B: m.b.ReadOnly(), C: m.c, N: m.n, Lo: lo, Hi: min(lo+rows, m.n)})
	}
	return all
}

// byWorkers fills C by calls in a pool.
func (m matrices) byWorkers(ctx context.Context, pool *xme.Pool) error {
	for _, err := range multiply.Map(ctx, pool, slices.Values(m.parts())) {
		if err != nil {
			return err
		}
	}
	return nil
}

// byGoroutines fills c, which lies in this process's own memory as a and b do.
func (m matrices) byGoroutines(a, b, c []float64) {
	work := make(chan part)
	var wait sync.WaitGroup
	for range m.p {
		wait.Go(func() {
			for p := range work {
				product(c, a, b, m.n, p.Lo, p.Hi)
			}
		})
	}
	for _, p := range m.parts() {
		work <- p
	}
	close(work)
	wait.Wait()
}

func run(ctx context.Context, n, p, rounds int) error {
	m := matrices{n: n, p: p}
	for _, at := range []**shm.Array[float64]{&m.a, &m.b, &m.c} {
		var err error
		if *at, err = shm.NewArray[float64](n * n); err != nil {
			return err
		}
		defer (*at).Close()
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range n * n {
		m.a.Slice()[i], m.b.Slice()[i] = rnd.Float64(), rnd.Float64()
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: p})
	if err != nil {
		return err
	}
	defer pool.Close()

	a, b, c := slices.Clone(m.a.Slice()), slices.Clone(m.b.Slice()), make([]float64, n*n)
	var workers, goroutines time.Duration
	for round := range rounds {
		clear(m.c.Slice())
		begin := time.Now()
		if err := m.byWorkers(ctx, pool); err != nil {
			return err
		}
		w := time.Since(begin)
		begin = time.Now()
		m.byGoroutines(a, b, c)
		g := time.Since(begin)
		if !slices.Equal(c, m.c.Slice()) {
			return fmt.Errorf("round %d: workers and goroutines come to different products", round+1)
		}
		workers, goroutines = workers+w, goroutines+g
		fmt.Printf("round %d: %d workers %v, %d goroutines %v\n", round+1, p, w.Round(time.Millisecond), p, g.Round(time.Millisecond))
	}
	begin := time.Now()
	product(c, a, b, n, 0, n)
	serial := time.Since(begin)
	if !slices.Equal(c, m.c.Slice()) {
		return fmt.Errorf("the product differs from the serial one")
	}
	fmt.Printf("%d x %d: equal to the serial product (%v)\n", n, n, serial.Round(time.Millisecond))
	fmt.Printf("workers: %.2f x serial, %.2f x goroutines\n", float64(serial)*float64(rounds)/float64(workers), float64(goroutines)/float64(workers))
	return nil
}

func main() {
	xme.Init()
	n := flag.Int("n", 1024, "`rows` and columns")
	p := flag.Int("p", runtime.GOMAXPROCS(0), "`workers`, and goroutines")
	rounds := flag.Int("rounds", 3, "how often each way, by turns")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *n < 1 || *n > 1<<15 || *p < 1 || *rounds < 1:
		err = fmt.Errorf("-n %d -p %d -rounds %d: all are 1 or more, n at most %d", *n, *p, *rounds, 1<<15)
	default:
		err = run(context.Background(), *n, *p, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}
