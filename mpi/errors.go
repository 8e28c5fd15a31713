package mpi

import (
	"errors"
	"fmt"

	"github.com/xenonmp/xme"
)

// Kinds of failure that errors.Is finds; they keep their identity on the way from a rank to Spawn's
// caller.
var (
	// ErrRankEnded is wrapped by a RankError.
	ErrRankEnded = xme.RegisterError("github.com/xenonmp/xme/mpi.ErrRankEnded", errors.New("a rank has ended"))
	// ErrDeadlock is wrapped by the errors of all waits when every rank waits for another, and of
	// all that these ranks begin afterwards.
	ErrDeadlock = xme.RegisterError("github.com/xenonmp/xme/mpi.ErrDeadlock", errors.New("deadlock"))
	// ErrTruncated is wrapped by the error of a receive whose buffer is too small for the message.
	// The message is lost.
	ErrTruncated = xme.RegisterError("github.com/xenonmp/xme/mpi.ErrTruncated", errors.New("the message is longer than the memory for it"))
	// ErrType is wrapped by the error of a receive of a type other than the one sent. The message
	// is lost.
	ErrType = xme.RegisterError("github.com/xenonmp/xme/mpi.ErrType", errors.New("the message is of another type"))
)

// RankError says that an operation ended because a rank has ended. It wraps ErrRankEnded, which is
// all that Spawn's caller can find of it: the rest is only in the text by then.
type RankError struct {
	Rank int    // in the operation's communicator
	Why  Ending // how
	Text string // more about it; may be empty
}

// Ending is how a rank ended.
type Ending string

// The ways a rank can end.
const (
	Returned Ending = "has returned"
	Failed   Ending = "has failed" // its function returned an error, or panicked
	Died     Ending = "has died"   // its process
)

// Error says which rank has ended, and how.
func (e *RankError) Error() string {
	s := fmt.Sprintf("rank %d %s", e.Rank, e.Why)
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Unwrap returns ErrRankEnded.
func (e *RankError) Unwrap() error { return ErrRankEnded }
