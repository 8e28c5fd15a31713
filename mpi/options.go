package mpi

import (
	"fmt"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/sys"
)

// Options says how a communicator is made. The zero value works.
type Options struct {
	// Size is the number of ranks. For Run, main is one of them, and 1 is refused; for Spawn each
	// is a process, at most 256. 0: as many as there are CPUs this process may use, at least 2, and
	// for Spawn at most 256.
	Size int

	// Buffer is how many calls of Run's main may be accepted that have not ended; further ones
	// wait. 0: 255. Spawn ignores it.
	Buffer int

	// Pool says how the workers are made. Its Workers and Queue must be 0: they follow from Size
	// and Buffer. For Spawn, its Recycle must be 0 too, since a rank is one process, and Spares 0
	// means none.
	Pool xme.Options
}

// defaultBuffer is the Buffer of the zero value.
const defaultBuffer = 255

func (o *Options) check(what string) error {
	switch {
	case o.Size < 0:
		return fmt.Errorf("mpi: %s: Size is %d: give how many ranks there are, or 0 for one per CPU", what, o.Size)
	case o.Buffer < 0:
		return fmt.Errorf("mpi: %s: Buffer is %d: give how many calls may be under way, or 0 for %d", what, o.Buffer, defaultBuffer)
	case o.Pool.Workers != 0:
		return fmt.Errorf("mpi: %s: Pool.Workers is %d: leave it 0, Size says how many there are", what, o.Pool.Workers)
	}
	return nil
}

// size is how many ranks there are; most bounds the default.
func (o *Options) size(most int) int {
	if o.Size == 0 {
		cpus, _ := sys.CPUs()
		return defaultSize(cpus, most)
	}
	return o.Size
}

func defaultSize(cpus, most int) int { return min(max(2, cpus), most) }
