//go:build !linux

package sys

import (
	"errors"
	"fmt"
)

var errNoPin = fmt.Errorf("choosing the CPUs that a process runs on is not offered here: %w", errors.ErrUnsupported)

// Affinity is not offered here.
func Affinity() ([]int, error) { return nil, errNoPin }

// Pin is not offered here.
func Pin(int, ...int) (restore func() error, err error) { return nil, errNoPin }
