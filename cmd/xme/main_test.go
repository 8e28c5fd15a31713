package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	servePeer()
	if len(os.Args) > 1 && os.Args[1] == memoryCommandName {
		main()
		return
	}
	xmetest.Main(m)
}

func TestCommandLineErrors(t *testing.T) {
	t.Parallel()
	const all = "arg-1mb, arg-80mb, array, array-parked, break-even, call-hot, call-hot-free, call-parked, call-socket-apart, call-socket-together, efficiency, " +
		"guard, guard-function, guard-service, guard-wait, idle-cpu, idle-memory, lock, lock-two, map, memory, object, object-process, pi, queue, queue-batch, ranks, ranks-1mb, replace, rpc, rpc-rate, slow-row, startup, view-80mb"
	for name, tc := range map[string]struct {
		args string
		want string
	}{
		"unknown row":     {"bench nothing", `no row "nothing"; there are: ` + all},
		"negative runs":   {"bench --runs=-1", "--runs=-1: give a positive number"},
		"no number":       {"bench --runs=few", "--runs"},
		"quick and check": {"bench --quick --check", "--quick and --check can't be used together"},
		"list and json":   {"bench --list --json", "--json and --list can't be used together"},
		"unknown flag":    {"bench --fast", "unknown flag --fast"},
		"unknown command": {"brew", "unexpected argument brew"},
		"no command":      {"", "expected one of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), strings.Fields(tc.args), io.Discard)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("xme %s: %v, want an error with %q", tc.args, err, tc.want)
			}
		})
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"bench", "--list"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !strings.Contains(out.String(), r.name+": "+r.what+"\n    floor: "+r.floorIs+"\n") {
			t.Errorf("printed:\n%s\nwant row %s in it", out.String(), r.name)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"version"}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "xme ") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("printed %q", out.String())
	}
}

// Every row runs, with both of its values.
//
// feature: U4
func TestQuickRows(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"bench", "--quick", "--json"}, &out); err != nil {
		t.Fatal(err)
	}
	var rep report
	if err := json.Unmarshal(out.Bytes(), &rep); err != nil {
		t.Fatalf("%v in:\n%s", err, out.String())
	}
	if !rep.Quick || rep.Date == "" || rep.Machine.CPUs == 0 {
		t.Errorf("the report's head is %v, %+v", rep.Quick, rep.Machine)
	}
	if len(rep.Rows) != len(rows) {
		t.Errorf("%d rows, want %d", len(rep.Rows), len(rows))
	}
	for _, r := range rep.Rows {
		switch {
		case r.Verdict == absent:
			t.Logf("%s: %s", r.Name, r.Why)
		case r.Name == "idle-cpu" && len(r.Runs) == 1: // its floor is nothing, and so should it be
		case r.Verdict != unsized || len(r.Runs) != 1 || r.Floor <= 0 || r.Ours <= 0:
			t.Errorf("row %+v", r)
		}
	}
}
