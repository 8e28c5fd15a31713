package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// TooManyFiles reports whether err says that this process can open no more files
// now.
func TooManyFiles(err error) bool { return errors.Is(err, windows.ERROR_TOO_MANY_OPEN_FILES) }

// NoProcess reports whether err says that a process has ended.
func NoProcess(err error) bool { return errors.Is(err, os.ErrProcessDone) }
