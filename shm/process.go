package shm

import (
	"os"

	"github.com/xenonmp/xme/internal/park"
)

// waits is how what processes share is slept on.
type waits = park.Waits

// me is what this process is called in shared memory.
var me = uint32(os.Getpid())
