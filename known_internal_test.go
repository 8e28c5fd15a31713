package xme

import (
	"errors"
	"fmt"
	"testing"

	"github.com/xenonmp/xme/internal/proc"
)

// sulkingError is an error whose methods panic.
type sulkingError struct{}

func (*sulkingError) Error() string { panic("no") }
func (*sulkingError) Unwrap() error { panic("no") }

// Who waits for room is told the cause of his context, whatever its methods do.
//
// feature: S12
func TestClosedErrorOfAnyCause(t *testing.T) {
	t.Parallel()
	sulking := &sulkingError{}
	if err := closedError(sulking); err != sulking { //nolint:errorlint // as it is
		t.Errorf("%T, want it as it is", err)
	}
	if err := closedError(proc.ErrClosed); err != ErrClosed { //nolint:errorlint // identity is meant
		t.Error(err)
	}
	other := fmt.Errorf("another pool: %w", proc.ErrClosed)
	if err := closedError(other); err != other { //nolint:errorlint // as it is
		t.Error(err)
	}
	if text := textOf(sulking); text != "a *xme.sulkingError whose method Error panics" {
		t.Error(text)
	}
	if text := textOf(errors.New("as it is")); text != "as it is" {
		t.Error(text)
	}
}
