package xme

import (
	"reflect"
	"strings"

	"github.com/xenonmp/xme/internal/wire"
)

// Types of this package that do not cross, which Register says better than what they
// happen to be made of.

func init() { wire.RegisterFamily(refusedFamily) }

var ownPackage = reflect.TypeFor[Pool]().PkgPath()

func refusedFamily(t reflect.Type) (f *wire.FamilyHandle, ours bool) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() != ownPackage {
		return nil, false
	}
	name, _, _ := strings.Cut(t.Name(), "[")
	switch name {
	case "Pool", "Executor":
		f = &wire.FamilyHandle{Reason: "a pool lives in one process", Remedy: "take xme.Current(ctx) in the task"}
	case "Func":
		f = &wire.FamilyHandle{Reason: "every process has its own handle on a function", Remedy: "use the package-level handle by its name in the task, or pass Name() and use xme.Lookup"}
	case "Future":
		f = &wire.FamilyHandle{Reason: "a future belongs to the process that made the call", Remedy: "wait there and pass the value"}
	case "Table", "Rows":
		f = &wire.FamilyHandle{Reason: "a table runs in the process that made it", Remedy: "pass the values"}
	}
	return f, f != nil
}
