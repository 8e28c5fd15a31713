package sys

import "os"

// Duplicate is not offered on Windows.
func Duplicate(*os.File, string) (*os.File, error) { return nil, ErrNoFiles }
