//go:build race

package xme_test

// raced tells that this binary looks for races: its processes map far more memory
// than they use.
const raced = true
