package xme_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// runScript builds a program and runs testdata/script/name.txtar with it in the path.
func runScript(t *testing.T, name, pkg string) {
	t.Helper()
	t.Parallel()
	bin := t.TempDir()
	buildPrograms(t, bin+string(filepath.Separator), pkg)
	testscript.Run(t, testscript.Params{
		Files: []string{filepath.Join("testdata", "script", name+".txtar")},
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(filepath.ListSeparator)+e.Getenv("PATH"))
			return nil
		},
	})
}

// Three distances, computed by the ranks of a communicator, are those of a plain loop.
//
// feature: P1, P3, P5
func TestTriangleProgram(t *testing.T) { runScript(t, "triangle", "./examples/triangle") }

// Exactly the darts asked for are thrown, also when rows do not divide them; wrong flags are errors.
//
// feature: P11
func TestPiProgram(t *testing.T) { runScript(t, "pi", "./examples/pi") }

// Matrices in shared memory are multiplied in place, with the serial result.
//
// feature: M1
func TestMatrixProgram(t *testing.T) { runScript(t, "matrix", "./examples/matrix") }

// Money is moved by processes that are killed, and all of it is there.
//
// feature: M1, K6
func TestBankProgram(t *testing.T) { runScript(t, "bank", "./examples/bank") }

// A deadlock is explained, and resolved.
//
// feature: M1
func TestPhilosophersProgram(t *testing.T) { runScript(t, "philosophers", "./examples/philosophers") }

// A lock of each kind, used by two operators.
//
// feature: K1, K2, K3, K4, K6
func TestLocksProgram(t *testing.T) { runScript(t, "locks", "./examples/locks") }

// Stages in processes of their own, joined by queues.
//
// feature: M1, M4
func TestPipelineProgram(t *testing.T) { runScript(t, "pipeline", "./examples/pipeline") }

// feature: M1, M4
func TestHistogramProgram(t *testing.T) { runScript(t, "histogram", "./examples/histogram") }

// feature: M1
func TestWordcountProgram(t *testing.T) { runScript(t, "wordcount", "./examples/wordcount") }

// feature: M1
func TestImageProgram(t *testing.T) { runScript(t, "image", "./examples/image") }

// feature: S7, S13
func TestSumProgram(t *testing.T) { runScript(t, "sum", "./examples/sum") }

// feature: S3, S4, S5, F8
func TestSplitProgram(t *testing.T) { runScript(t, "split", "./examples/split") }

// A function that calls itself, registered in func init; inline and in a pool.
//
// feature: S1, S7, U7
func TestFibProgram(t *testing.T) { runScript(t, "fib", "./examples/fib") }

// A table in which every way to die has a row: the others come to their results, and the driver says what happened.
//
// feature: S12, F1, F5
func TestCrashProgram(t *testing.T) { runScript(t, "crash", "./examples/crash") }

// What the program says of each death under -v, whole.
//
// feature: S12, F1, F5
func TestCrashProgramBlocks(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || raced {
		t.Skip("the golden file is Linux's, without the race detector")
	}
	bin := filepath.Join(t.TempDir(), "crash")
	buildPrograms(t, bin, "./examples/crash")
	for n := 0; ; n++ {
		out, err := exec.CommandContext(t.Context(), bin, "-v", "-p", "1").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		// The runtime may not come to the stack of what computes in time, if the CPUs are taken.
		if !strings.Contains(string(out), "stack unavailable") || n == 20 {
			text := regexp.MustCompile(`(?s)( its limit is 128 MiB; )[^\n]*(.*?)(\n  help: )`).ReplaceAllString(string(out), "$1…$3") // who was first, the system or the pool
			text = regexp.MustCompile(`rank \d+, pid \d+\) \(called`).ReplaceAllString(text, "rank N, pid PID) (called")              // a spare's, or another's
			golden(t, "crash-v", strings.TrimSuffix(text, "\n"))
			return
		}
	}
}

// What main sets is not in the workers; arguments and set-up are.
//
// feature: U5
func TestSetupProgram(t *testing.T) { runScript(t, "setup", "./examples/setup") }

// What tasks log and print, on the screen, in files, and through another handler.
//
// feature: L1, L2, L3, L4, S2
func TestLoggingProgram(t *testing.T) { runScript(t, "logging", "./examples/logging") }

// How far a run is, in a pipe; what the pool did with its time; its counts.
//
// feature: S3, S13
func TestProgressProgram(t *testing.T) { runScript(t, "progress", "./examples/progress") }

// A merge sort whose halves are nested calls gives what slices.Sort gives; too deep a one ends with ErrDepth.
//
// feature: S1, U7
func TestNestedProgram(t *testing.T) { runScript(t, "nested", "./examples/nested") }

// Services end after the time given, and what keeps one from starting ends the other. Ctrl-C is in interrupt_test.go.
//
// feature: S10
func TestServicesProgram(t *testing.T) { runScript(t, "services", "./examples/services") }

// Ten tasks count in one object, exactly, also while a worker is killed.
//
// feature: M3, M4, X1, X7
func TestCounterProgram(t *testing.T) { runScript(t, "counter", "./examples/counter") }

// A manager's table, by each of its operations.
//
// feature: X2, X8
func TestTableProgram(t *testing.T) { runScript(t, "table", "./examples/table") }

// A task that watches a table misses nothing that it does not count.
//
// feature: X2
func TestWatchProgram(t *testing.T) { runScript(t, "watch", "./examples/watch") }

// Queued calls of each kind, run by hand, and what becomes of them.
//
// feature: X3, X4
func TestQueueProgram(t *testing.T) { runScript(t, "queue", "./examples/queue") }

// A guard runs all calls that ten tasks have queued, though each of them asks it to end.
//
// feature: G1, G2, X3
func TestGuardProgram(t *testing.T) { runScript(t, "guard", "./examples/guard") }

// Each task's heart beats, and stops.
//
// feature: G3
func TestHeartbeatProgram(t *testing.T) { runScript(t, "heartbeat", "./examples/heartbeat") }

// Each entry that was accepted is in the ledger once, though workers and the guard are killed.
//
// feature: G1, G2
func TestLedgerProgram(t *testing.T) { runScript(t, "ledger", "./examples/ledger") }

// The command prints tables and JSON, and says what is wrong with a command line.
func TestXmeProgram(t *testing.T) { runScript(t, "xme", "./cmd/xme") }

// The executor written outside this module passes the conformance suite, and its program runs.
//
// feature: S11
func TestExecutorModule(t *testing.T) {
	if raced {
		t.Skip("it builds and runs programs without the race detector")
	}
	t.Parallel()
	for _, args := range [][]string{{"test", "./..."}, {"run", "."}} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = filepath.Join("examples", "executor")
		cmd.Env = append(os.Environ(), "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		if args[0] == "run" {
			wantText(t, string(out), "add up to 338350")
		}
	}
}

// An example is short enough to be read at once, and says which features it shows.
func TestExamplesAreShort(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("examples", "*", "*.go"))
	deeper, err2 := filepath.Glob(filepath.Join("examples", "*", "*", "*.go"))
	if err != nil || err2 != nil || len(files) == 0 || len(deeper) == 0 {
		t.Fatalf("%d files and %d, %v, %v", len(files), len(deeper), err, err2)
	}
	for _, file := range append(files, deeper...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n >= 80 {
			t.Errorf("%s has %d lines, want fewer than 80", file, n)
		}
		if filepath.Base(file) == "main.go" && !bytes.Contains(text, []byte("\n// feature: ")) {
			t.Errorf("%s does not say which features it shows", file)
		}
	}
}

// Keys are made, messages sealed and opened, and what is wrong is told, without the key in it.
//
// feature: N2
func TestMessageCommand(t *testing.T) { runScript(t, "message-command", "./cmd/xme") }

// Tasks exchange messages by one table, with lists and maps that they share; a worker seals them.
//
// feature: N1, N2
func TestMonitorProgram(t *testing.T) { runScript(t, "monitor", "./examples/monitor") }

// Programs that share a key, and nothing else, exchange a message once.
//
// feature: N1, N2
func TestMessageProgram(t *testing.T) { runScript(t, "message", "./examples/message") }

// A plate cools by as many ranks as there are rows, or fewer, as one loop has it, and is drawn.
//
// feature: P9
func TestHeatProgram(t *testing.T) { runScript(t, "heat", "./examples/heat") }

// Bodies attract each other over ranks as in one loop, and keep their energy.
//
// feature: P9
func TestNbodyProgram(t *testing.T) { runScript(t, "nbody", "./examples/nbody") }

// Numbers are in order over all ranks, and are those that were there before.
//
// feature: P9
func TestSortProgram(t *testing.T) { runScript(t, "sort", "./examples/sort") }
