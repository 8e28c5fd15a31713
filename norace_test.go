//go:build !race

package xme_test

const raced = false
