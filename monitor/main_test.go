package monitor_test

import (
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/manager"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/xmetest"
)

func TestMain(m *testing.M) {
	xme.Init()
	xmetest.Main(m)
}

// open opens a manager that ends with the test.
func open(t testing.TB, o manager.Options) *manager.Manager {
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

// places are what a monitor's table may be.
var places = map[string]func(t testing.TB) monitor.Options{
	"alone":   func(testing.TB) monitor.Options { return monitor.Options{} },
	"manager": func(t testing.TB) monitor.Options { return monitor.Options{Manager: open(t, manager.Options{})} },
	"process": func(t testing.TB) monitor.Options {
		return monitor.Options{Manager: open(t, manager.Options{Process: true})}
	},
	"lock": func(t testing.TB) monitor.Options {
		m := open(t, manager.Options{})
		return monitor.Options{Manager: m, Lock: m.Lock()}
	},
}

// everywhere runs a test on each kind of table.
func everywhere(t *testing.T, test func(t *testing.T, o monitor.Options)) {
	t.Helper()
	for name, o := range places {
		t.Run(name, func(t *testing.T) { test(t, o(t)) })
	}
}

// ok fails the test if there is an error.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
