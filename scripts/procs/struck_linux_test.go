package procs_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/scripts/procs"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	if os.Getenv(hangEnv) != "" {
		hang()
	}
	xmetest.Main(m)
}

// A loss is somebody's who struck a worker only if it says so.
func TestStruck(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"killed":             {&xme.Error{Cause: xme.CauseLost, ExitCode: -1, Signal: "SIGKILL"}, true},
		"nested":             {relayed("worker lost: killed by SIGKILL (rank 3, pid 9)"), true},
		"nested, stopped":    {relayed("worker lost: stopped by someone (state T) for 1s; killed for it (rank 3)"), true},
		"nested, crashed":    {relayed("worker lost: SIGSEGV: segmentation violation, exit status 2 (rank 3)"), false},
		"nested, rubbish":    {relayed("worker lost: its shared memory: rubbish; killed for it (rank 3)"), false},
		"killed, wrapped":    {fmt.Errorf("row: %w", &xme.Error{Cause: xme.CauseLost, ExitCode: -1, Signal: "SIGKILL"}), true},
		"stopped":            {&xme.Error{Cause: xme.CauseLost, Signal: "SIGKILL", Killed: true, Message: "stopped by someone (state T) for 1s; killed for it"}, true},
		"started not":        {&xme.Error{Cause: xme.CauseStart, Signal: "SIGKILL"}, true},
		"wrote rubbish":      {&xme.Error{Cause: xme.CauseLost, Signal: "SIGKILL", Killed: true, Message: "its shared memory: rubbish; killed for it"}, false},
		"SIGBUS":             {&xme.Error{Cause: xme.CauseLost, ExitCode: 2, Message: "SIGBUS: bus error, exit status 2"}, false},
		"SIGSEGV":            {&xme.Error{Cause: xme.CauseLost, ExitCode: -1, Signal: "SIGSEGV"}, false},
		"race":               {&xme.Error{Cause: xme.CauseLost, ExitCode: 66}, false},
		"over its limit":     {&xme.Error{Cause: xme.CauseMemory, Signal: "SIGKILL"}, false},
		"an error of others": {errors.New("killed by SIGKILL"), false},
		"none":               {nil, false},
	} {
		if got := procs.Struck(tc.err); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// relayed is the error of a row that a nested call's came up through.
func relayed(text string) error {
	e := &xme.Error{Cause: xme.CauseReturned, Message: text, Nested: []string{"inner"}}
	return fmt.Errorf("%w: %w", xme.ErrWorkerLost, e)
}
