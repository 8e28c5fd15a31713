// Package long says how much tests are to try: usually what takes some minutes for the whole module, and all of it where LONGTESTS is set
// (see .ci/run): more seeds, rounds and sizes, and what compiles much.
package long

import "os"

// Wanted reports whether tests are to try all that they can.
func Wanted() bool { return os.Getenv("LONGTESTS") != "" }
