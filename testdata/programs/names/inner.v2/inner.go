// Package inner has a name other than the last element of its path, which holds a dot.
package inner

import (
	"context"

	"github.com/xenonmp/xme"
)

// Point is a type argument with a path of its own.
type Point struct{ X, Y int }

// Direct is a registered function.
var Direct = xme.Register("inner", func(_ context.Context, p int) (int, error) { return p, nil })
