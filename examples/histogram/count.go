package main

import (
	"context"
	"slices"

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
