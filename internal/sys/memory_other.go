//go:build !linux

package sys

import "errors"

// Memory is not offered here.
func Memory(int) (int64, error) { return 0, errors.ErrUnsupported }

// DataSize is not offered here.
func DataSize(int) (int64, error) { return 0, errors.ErrUnsupported }

// PeakResident is not offered here.
func PeakResident(int) (int64, error) { return 0, errors.ErrUnsupported }

// LimitData is not offered here.
func LimitData(int, int64) error { return errors.ErrUnsupported }

// DataLimit is not offered here.
func DataLimit(int) (int64, error) { return 0, errors.ErrUnsupported }
