package main

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"

	"github.com/xenonmp/xme"
)

func run(ctx context.Context, files []string, repeat, top, workers int) error {
	text, err := load(files, repeat)
	if err != nil {
		return err
	}
	defer text.Close()
	pool, err := xme.Open(ctx, xme.Options{Workers: workers})
	if err != nil {
		return err
	}
	defer pool.Close()

	counts := map[string]int{}
	for row := range countWords.Unordered(ctx, pool, slices.Values(parts(text, 4*workers))) {
		if row.Err != nil {
			return row.Err
		}
		for word, n := range row.Value {
			counts[word] += n
		}
	}
	serial := map[string]int{}
	add(serial, text.Slice())
	if !maps.Equal(counts, serial) {
		return fmt.Errorf("the pool's counts differ from the serial ones")
	}
	words := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	total := 0
	for _, n := range counts {
		total += n
	}
	for _, w := range words[:min(top, len(words))] {
		fmt.Printf("%8d %s\n", counts[w], w)
	}
	fmt.Printf("%d bytes, %d words, %d different, equal to the serial count\n", text.Len(), total, len(counts))
	return nil
}
