package main

import (
	"fmt"
	"slices"
	"strings"
)

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
