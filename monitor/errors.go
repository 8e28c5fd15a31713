package monitor

import (
	"errors"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
)

// Errors that this package's calls wrap; errors.Is finds them in every process. Those of the table
// are package manager's.
var (
	ErrNoKey    = manager.ErrNoKey
	ErrType     = manager.ErrType
	ErrConflict = manager.ErrConflict
	ErrReserved = manager.ErrReserved

	// ErrKey says that there is no key to seal or open a message with: none at all, or not the one
	// that the message is sealed with.
	ErrKey = known("ErrKey", "no key")
	// ErrMalformed says that the input is not a sealed message, not JSON, or not a well-formed
	// array.
	ErrMalformed = known("ErrMalformed", "malformed")
	// ErrTampered says that a message is not what was sealed, or was sealed for another context.
	ErrTampered = known("ErrTampered", "not as it was sealed, or for another context")
	// ErrReplay says that a message was opened before, or is too old or too new to tell.
	ErrReplay = known("ErrReplay", "refused as a replay")
	// ErrTooLarge says that a message exceeds its limit.
	ErrTooLarge = known("ErrTooLarge", "too large")
)

func known(name, text string) error {
	return xme.RegisterError("github.com/xenonmp/xme/monitor."+name, errors.New("monitor: "+text))
}
