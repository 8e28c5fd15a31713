package sys

import "errors"

// NoCore is not offered on Windows.
func NoCore(int) error { return errors.ErrUnsupported }

// NoCoreSelf is not offered on Windows.
func NoCoreSelf() error { return errors.ErrUnsupported }
