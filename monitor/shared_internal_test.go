package monitor

import (
	"reflect"
	"testing"

	"github.com/xenonmp/xme/manager"
)

// named checks that lists and maps of E, which this package knows by names that it has made up, are called that.
func named[E any](t *testing.T) {
	t.Helper()
	e := reflect.TypeFor[E]()
	for h, want := range map[reflect.Type]kind{reflect.TypeFor[*manager.List[E]](): {e, listShape}, reflect.TypeFor[*manager.Map[string, E]](): {e, mapShape}} {
		if got, ok := kindOf(handleName(h)); !ok || got != want {
			t.Errorf("%v, %s: got %v, %t", h, handleName(h), got, ok)
		}
	}
}

func TestNamesOfElements(t *testing.T) {
	named[bool](t)
	named[string](t)
	named[any](t)
	named[[]string](t)
	named[[]any](t)
	named[map[string]any](t)
	named[uint8](t)
	named[[]uint8](t)
	named[[]float64](t)
}
