//go:build !linux

package sys

import "errors"

// Stopped is not offered here.
func Stopped(int) (bool, error) { return false, errors.ErrUnsupported }

// Traced is not known here.
func Traced() bool { return false }
