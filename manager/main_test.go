package manager_test

import (
	"runtime"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/internal/sys"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	xmetest.Main(m)
}

// forms are the executors that everything shared must work on alike.
var forms = map[string]func(t *testing.T) xme.Executor{
	"inline":     func(*testing.T) xme.Executor { return xme.Inline() },
	"in process": func(t *testing.T) xme.Executor { return xmetest.OpenInProcess(t, xme.Options{Workers: 2}) },
	"lanes in process": func(t *testing.T) xme.Executor {
		return openLanes(t)
	},
	"processes": func(t *testing.T) xme.Executor { return xmetest.Open(t, xme.Options{Workers: 2}) },
	"sockets": func(t *testing.T) xme.Executor {
		if runtime.GOOS == "windows" {
			t.Skip("no sockets there; processes are linked by pipes that carry handles")
		}
		return xmetest.Open(t, xme.Options{Workers: 2, Link: xme.LinkSocket})
	},
}

// openLanes opens a pool of goroutines that are called as processes are.
func openLanes(t *testing.T) xme.Executor {
	t.Helper()
	backend := proc.NewInProcess()
	backend.Lanes = sys.HasLanes
	pool, err := xme.Open(proc.WithBackend(t.Context(), backend), xme.Options{Workers: 2, NoScreen: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return pool
}

// onAll runs a test on every form.
func onAll(t *testing.T, f func(t *testing.T, on xme.Executor)) {
	t.Helper()
	for name, open := range forms {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

// processes runs a test on the forms whose workers are processes.
func processes(t *testing.T, f func(t *testing.T, pool *xme.Pool)) {
	t.Helper()
	for _, name := range []string{"processes", "sockets"} {
		t.Run(name, func(t *testing.T) { f(t, forms[name](t).(*xme.Pool)) })
	}
}
