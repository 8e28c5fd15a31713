package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	if len(os.Args) == 3 && os.Args[1] == driverArg {
		fmt.Fprintln(os.Stderr, driver(os.Args[2]))
		os.Exit(1)
	}
	xmetest.Main(m)
}

// Nothing outlives a driver that is killed, whatever its workers do. The time is for
// the program to measure: a busy machine has its own.
//
// feature: F2, S12
func TestOrphans(t *testing.T) {
	var out strings.Builder
	if !orphans(2, time.Second, &out) {
		t.Errorf("some were left:\n%s", out.String())
	}
}
