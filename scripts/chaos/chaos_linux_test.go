package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	if len(os.Args) > 1 && os.Args[1] == driverArg {
		driver(os.Args[2:])
	}
	xmetest.Main(m)
}

// A few seconds of chaos: every row has one end, its own, and nothing is left behind.
// Longer and other ones are go run ./scripts/chaos.
//
// feature: F1, F2, F4, F5, F11, S12, U7
func TestChaos(t *testing.T) {
	for name, link := range map[string]xme.Link{"auto": xme.LinkAuto, "socket": xme.LinkSocket, "pipe": xme.LinkPipe} {
		t.Run(name, func(t *testing.T) {
			c := config{time: 2500 * time.Millisecond, limit: 20 * time.Second, seed: 7, workers: 3, rows: 3000, link: link}
			if !long.Wanted() {
				c.time, c.rows = 500*time.Millisecond, 500
			}
			var out strings.Builder
			if !chaos(c, &out) {
				t.Errorf("it found:\n%s", out.String())
			}
		})
	}
}

// The checks can fail.
func TestJudge(t *testing.T) {
	t.Parallel()
	j := job{Table: 5, Row: 3, Kind: payload, Data: []byte("ab")}
	good := answer{Table: 5, Row: 3, Sum: j.sum(), Data: []byte("ba")}
	other := j
	other.Row = 4
	changed := good
	changed.Data = []byte("bb")
	failing := j
	failing.Kind = errText
	dying := j
	dying.Kind = retryDies
	died := func(attempt int, text string) error {
		return &xme.Error{Cause: xme.CauseLost, ExitCode: codeOf(dying), Attempt: attempt, Attempts: 10, Message: text}
	}
	for name, tc := range map[string]struct {
		j        job
		a        answer
		err      error
		out      outcome
		complain bool
	}{
		"its value":            {j, good, nil, asMeant, false},
		"another row's":        {other, good, nil, asMeant, true},
		"changed":              {j, changed, nil, asMeant, true},
		"none":                 {j, answer{}, nil, asMeant, true},
		"beside an error":      {j, good, &xme.Error{Cause: xme.CauseLost}, asMeant, true},
		"no *Error":            {j, answer{}, os.ErrClosed, asMeant, true},
		"lost":                 {j, answer{}, &xme.Error{Cause: xme.CauseLost, ExitCode: -1, Signal: "SIGKILL"}, lost, false},
		"crashed":              {j, answer{}, &xme.Error{Cause: xme.CauseLost, ExitCode: 2}, asMeant, true},
		"a race":               {j, answer{}, &xme.Error{Cause: xme.CauseLost, ExitCode: 66}, asMeant, true},
		"behind others":        {j, answer{}, &xme.Error{Cause: xme.CauseLost, ExitCode: 34, Message: "set aside: 3 workers died as they were about to begin it, the last: exit status 34"}, lost, false},
		"set aside":            {dying, answer{}, died(3, "set aside: 3 workers died running it"), asMeant, false},
		"set aside late":       {dying, answer{}, died(7, "set aside: 3 workers died running it"), lost, false},
		"its last attempt":     {dying, answer{}, died(10, "exit status"), lost, false},
		"not tried again":      {dying, answer{}, died(4, "exit status"), early, false},
		"its start crashed":    {j, answer{}, &xme.Error{Cause: xme.CauseStart, ExitCode: 2}, asMeant, true},
		"an error of others":   {j, answer{}, &xme.Error{Cause: xme.CauseReturned, Message: textOf(j)}, asMeant, true},
		"its error":            {failing, answer{}, &xme.Error{Cause: xme.CauseReturned, Message: textOf(failing)}, asMeant, false},
		"another row's error":  {failing, answer{}, &xme.Error{Cause: xme.CauseReturned, Message: textOf(other)}, asMeant, true},
		"a value for an error": {failing, answer{Table: 5, Row: 3, Sum: failing.sum(), Data: []byte("ba")}, nil, asMeant, true},
		"closed":               {j, answer{}, &xme.Error{Cause: xme.CauseClosed}, closed, false},
		"too deep":             {j, answer{}, &xme.Error{Cause: xme.CauseDepth}, noPlace, false},
	} {
		out, complaint := judge(tc.j, tc.a, tc.err)
		if out != tc.out || (complaint != "") != tc.complain {
			t.Errorf("%s: %s, complaint %q", name, outcomeNames[out], complaint)
		}
	}
}
