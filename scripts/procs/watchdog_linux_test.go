package procs_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/scripts/procs"
)

// hangEnv has this program hang under a watchdog.
const hangEnv = "XME_PROCS_TEST_HANGS"

func hang() {
	dog := procs.Watchdog(time.Hour, func() string { return "the test" })
	dog.Reset(time.Millisecond)
	select {}
}

// Who hangs is ended, and says where it hung.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), hangEnv+"=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
	for _, want := range []string{"the test: it hangs", "procs_test.hang("} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}
