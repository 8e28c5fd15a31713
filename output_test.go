package xme_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
)

var errFull = errors.New("full")

// full takes so many bytes.
type full struct{ left int }

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// What an output has refused Close tells, with the output's error.
//
// feature: L3
func TestOutputFails(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]xme.Options{"stdout": {Stdout: new(full), Stderr: new(lines)}, "stderr": {Stdout: new(lines), Stderr: new(full)}, "none": {Stdout: new(lines), Stderr: new(lines)}} {
		o.Workers = 1
		pool, err := xme.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := printsBoth.Call(t.Context(), pool, "a line\n"); err != nil {
				t.Fatal(err)
			}
		}
		err = pool.Close()
		if fine := name == "none"; fine != (err == nil) || !fine && (!errors.Is(err, errFull) || !strings.Contains(err.Error(), "3 lines or log records of workers were not written: full")) {
			t.Errorf("%s: Close said %v", name, err)
		}
	}
}

var printsBoth = xme.Register("printsBoth", func(_ context.Context, text string) (int, error) {
	_, err := os.Stdout.WriteString(text)
	_, more := os.Stderr.WriteString(text)
	return 0, errors.Join(err, more)
})
