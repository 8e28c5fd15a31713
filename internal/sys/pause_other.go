//go:build !amd64

package sys

// Pause is not offered here.
func Pause() {}
