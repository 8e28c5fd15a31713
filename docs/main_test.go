// Package docs_test holds the pages against the program: what they show is compiled, run and compared.
package docs_test

import (
	"fmt"
	"os"
	"testing"
)

const modulePath = "github.com/xenonmp/xme"

// Paths are from the module's root on.
func TestMain(m *testing.M) {
	if err := os.Chdir(".."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
