package wire

import (
	"context"
	"os"
	"reflect"
)

// refusal says why no value of t can cross, and what to write instead; reason is "" if t itself is no obstacle. It looks at t only,
// not at what t is made of.
func refusal(t reflect.Type) (reason, remedy string) {
	switch t.PkgPath() {
	case "sync", "sync/atomic":
		return "locks and atomics of package " + t.PkgPath() + " do not work across processes",
			"take the lock outside the call, or share one of package shm's"
	}
	switch t {
	case reflect.TypeFor[os.File]():
		return "an open file is not its struct", "use *os.File"
	case reflect.TypeFor[error]():
		return "an error's own type is not known on the other side", "use a string"
	case reflect.TypeFor[context.Context]():
		return "a context belongs to one call in one process", "use the context that the function gets as its first argument"
	}
	switch t.Kind() {
	case reflect.Chan:
		return "a channel joins goroutines of one process", "pass a slice, or return values one call at a time"
	case reflect.Func:
		return "a function exists in one process only", "register it with xme.Register, and pass its name or the values that it works on"
	case reflect.Uintptr:
		return "an address means nothing in another process", "use uint64 if it is a number"
	case reflect.UnsafePointer:
		return "an address means nothing in another process", "pass what it points at"
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return "what an interface holds is not known on the other side", "use a concrete type, or any for plain values"
		}
	}
	if _, byPointer := handles.Load(reflect.PointerTo(t)); byPointer {
		return "it is a handle, which crosses by pointer", "use *" + t.String()
	}
	return "", ""
}
