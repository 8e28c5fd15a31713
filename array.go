package xme

import (
	"fmt"
	"iter"
)

// Array is an argument to be split over rows: one value per row. A row past its end gets
// the last value.
type Array[T any] []T

// At returns the value for row i: a[i], or the last value if i is past the end. It panics
// if the array is empty or i is negative.
func (a Array[T]) At(i int) T {
	if len(a) == 0 {
		panic(fmt.Sprintf("xme: At(%d) of an empty %T", i, a))
	}
	return a[min(i, len(a)-1)]
}

// Len returns the number of values.
func (a Array[T]) Len() int { return len(a) }

// Split yields build(0), build(1), and so on: as many rows as the longest of over has
// values. Without arrays it yields one row; if all are empty, none. An empty array beside
// a longer one is a programming error: Split panics and names its position and type.
// build usually reads its fields with [Array.At], so that a shorter array repeats its
// last value.
func Split[In any](build func(i int) In, over ...interface{ Len() int }) iter.Seq[In] {
	rows := 0
	if len(over) == 0 {
		rows = 1
	}
	for _, a := range over {
		rows = max(rows, a.Len())
	}
	for i, a := range over {
		if a.Len() == 0 && rows > 0 {
			panic(fmt.Sprintf("xme: Split: array %d (%T) is empty beside one of %d values: give it at least one value", i+1, a, rows))
		}
	}
	return func(yield func(In) bool) {
		for i := range rows {
			if !yield(build(i)) {
				return
			}
		}
	}
}

// Repeat yields n rows with the same argument, and none if n is 0 or less.
func Repeat[In any](n int, in In) iter.Seq[In] {
	return func(yield func(In) bool) {
		for range n {
			if !yield(in) {
				return
			}
		}
	}
}
