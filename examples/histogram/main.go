// Histogram counts how often each value occurs in a large array. Calls count parts of it where they lie, each into a row
// of a second shared array; the driver adds the rows up. Neither array is copied.
//
//	go run ./examples/histogram -n 100000000
//
// feature: M1, M4
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/shm"
)

// bins is the number of values that a byte has.
const bins = 256

// part is some of the data, and where the call counts.
type part struct {
	Data  *shm.Array[byte]
	Count *shm.Array[int64] // bins of them
}

var count = xme.Register("count", func(_ context.Context, p part) (int, error) {
	tally(p.Count.Slice(), p.Data.Slice())
	return p.Data.Len(), nil
})

// tally adds what is in data to counts. Four counters for each value, by turns, spare it waiting for the last addition.
func tally(counts []int64, data []byte) {
	var t [4][bins]int64
	for ; len(data) >= 4; data = data[4:] {
		t[0][data[0]]++
		t[1][data[1]]++
		t[2][data[2]]++
		t[3][data[3]]++
	}
	for _, v := range data {
		t[0][v]++
	}
	for v := range bins {
		counts[v] += t[0][v] + t[1][v] + t[2][v] + t[3][v]
	}
}

// inPool counts data in pieces of so many bytes.
func inPool(ctx context.Context, pool *xme.Pool, data *shm.Array[byte], piece int) ([]int64, error) {
	n := (data.Len() + piece - 1) / piece
	rows, err := shm.NewArray[int64](n * bins)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var parts []part
	for i := range n {
		parts = append(parts, part{
			Data:  data.Part(i*piece, min((i+1)*piece, data.Len())).ReadOnly(),
			Count: rows.Part(i*bins, (i+1)*bins),
		})
	}
	for _, err := range count.Map(ctx, pool, slices.Values(parts)) {
		if err != nil {
			return nil, err
		}
	}
	total := make([]int64, bins)
	for i, c := range rows.Slice() {
		total[i%bins] += c
	}
	return total, nil
}

func run(ctx context.Context, n, workers int) error {
	data, err := shm.NewArray[byte](n)
	if err != nil {
		return err
	}
	defer data.Close()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range data.Slice() { // the sum of two dice of 128 sides
		x := rnd.Uint32()
		data.Slice()[i] = byte(x&127 + x>>7&127)
	}
	pool, err := xme.Open(ctx, xme.Options{Workers: workers})
	if err != nil {
		return err
	}
	defer pool.Close()

	begin := time.Now()
	counts, err := inPool(ctx, pool, data, 1<<20)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	serial := make([]int64, bins)
	begin = time.Now()
	tally(serial, data.Slice())
	alone := time.Since(begin)
	if !slices.Equal(counts, serial) {
		return fmt.Errorf("the pool's counts differ from the serial ones")
	}
	draw(counts)
	fmt.Printf("%d values, equal to the serial count\n", n)
	fmt.Fprintf(os.Stderr, "%d workers %v, serially %v\n", workers, took.Round(time.Microsecond), alone.Round(time.Microsecond))
	return nil
}

// draw prints the counts, 16 values a line.
func draw(counts []int64) {
	const step = 16
	var lines []int64
	for group := range slices.Chunk(counts, step) {
		sum := int64(0)
		for _, c := range group {
			sum += c
		}
		lines = append(lines, sum)
	}
	most := max(slices.Max(lines), 1)
	for i, sum := range lines {
		fmt.Printf("%3d-%3d %9d %s\n", i*step, i*step+step-1, sum, strings.Repeat("#", int(40*sum/most)))
	}
}

func main() {
	xme.Init()
	n := flag.Int("n", 20_000_000, "how many `values`")
	p := flag.Int("p", runtime.GOMAXPROCS(0), "`workers`")
	flag.Parse()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q, see -h", flag.Arg(0))
	case *n < 0 || *p < 1:
		err = fmt.Errorf("-n %d -p %d: n is not negative, p is 1 or more", *n, *p)
	default:
		err = run(context.Background(), *n, *p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "histogram:", err)
		os.Exit(1)
	}
}
