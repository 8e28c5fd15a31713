//go:build unix

package wire

import "reflect"

// refusedHere adds what cannot cross on this system only.
func refusedHere(reflect.Type) (reason, remedy string) { return "", "" }
