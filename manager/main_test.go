package manager_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	xmetest.Main(m)
}

// forms are the executors whose tasks a manager must serve alike.
var forms = map[string]func(t *testing.T) xme.Executor{
	"inline":     func(*testing.T) xme.Executor { return xme.Inline() },
	"in process": func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: 2}) },
	"processes":  func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 2}) },
	"sockets": func(t *testing.T) xme.Executor {
		if runtime.GOOS == "windows" {
			t.Skip("no sockets there; processes are linked by pipes that carry handles")
		}
		return xmetest.Open(t, xme.Options{Workers: 2, Link: xme.LinkSocket})
	},
}

// open opens a manager that ends with the test.
func open(t testing.TB) *manager.Manager {
	t.Helper()
	return openWith(t, manager.Options{})
}

func openWith(t testing.TB, o manager.Options) *manager.Manager {
	t.Helper()
	m, err := manager.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// A step is a part of the surface, tried by who has a new manager: the driver, and tasks on all forms.
type step func(ctx context.Context, m *manager.Manager, c *check)

type stepCall struct {
	M    *manager.Manager
	Step string
}

var (
	steps   map[string]step
	runStep = xme.Register("step", func(ctx context.Context, in stepCall) (bool, error) {
		c := &check{}
		steps[in.Step](ctx, in.M, c)
		return true, errors.Join(c.faults...)
	})
)

func init() {
	steps = map[string]step{
		"values": tryValues, "types": tryTypes, "reserved": tryReserved, "handles": tryHandles, "watch": tryWatch, "messages": tryMessages, "objects": tryObjects,
		"status": tryStatus, "lists": tryLists, "maps": tryMaps, "snapshot": trySnapshot, "queue": tryQueue, "builtins": tryBuiltins, "results": tryResults,
		"errors": tryErrors,
	}
}

// everywhere tries a step in the driver and in tasks.
func everywhere(t *testing.T, name string) {
	t.Helper()
	t.Run("driver", func(t *testing.T) {
		c := &check{}
		steps[name](t.Context(), open(t), c)
		if err := errors.Join(c.faults...); err != nil {
			t.Error(err)
		}
	})
	t.Run("process", func(t *testing.T) {
		c := &check{}
		steps[name](t.Context(), openWith(t, manager.Options{Process: true}), c)
		if err := errors.Join(c.faults...); err != nil {
			t.Error(err)
		}
	})
	for form, on := range forms {
		t.Run(form, func(t *testing.T) {
			if _, err := runStep.Call(t.Context(), on(t), stepCall{open(t), name}); err != nil {
				t.Error(err)
			}
		})
	}
}

// check collects what is not as it should be.
type check struct{ faults []error }

func (c *check) fault(format string, args ...any) {
	_, file, line, _ := runtime.Caller(2)
	c.faults = append(c.faults, fmt.Errorf("%s:%d: %s", filepath.Base(file), line, fmt.Sprintf(format, args...)))
}

// ok says that there is to be no error.
func (c *check) ok(err error) {
	if err != nil {
		c.fault("%v", err)
	}
}

// is says which error there is to be, and parts of its text.
func (c *check) is(err, target error, parts ...string) {
	if !errors.Is(err, target) {
		c.fault("got %v, not one that is %v", err, target)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			c.fault("%q does not say %q", err, p)
		}
	}
}

func (c *check) equal(got, want any) {
	if !reflect.DeepEqual(got, want) {
		c.fault("got %v, want %v", got, want)
	}
}
