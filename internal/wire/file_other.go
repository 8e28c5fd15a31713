//go:build !unix

package wire

import (
	"os"
	"reflect"
	"runtime"
)

// refusedHere adds what cannot cross on this system only.
func refusedHere(t reflect.Type) (reason, remedy string) {
	if t == reflect.TypeFor[*os.File]() {
		return "open files cross on Unix only, not on " + runtime.GOOS, "pass the file's path, or its content"
	}
	return "", ""
}
