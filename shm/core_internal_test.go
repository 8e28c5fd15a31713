package shm

import (
	"slices"
	"testing"

	"github.com/xenonmp/xme/internal/region"
)

// The last use of a handle may end while its task's end is being told: what is told of that use comes before the reference goes.
func TestUseEndsWithItsTask(t *testing.T) {
	c := &core{}
	if err := open(c, 100, region.Locks); err != nil {
		t.Fatal(err)
	}
	c.region.Lend()
	c.lent = true
	var order []string
	c.leaves = func() { order = append(order, "leaves") }
	c.stays = func() {
		c.unuse()
		order = append(order, "stays")
	}
	if err := c.enter(); err != nil {
		t.Fatal(err)
	}
	(*ender)(c).End()
	if want := []string{"stays", "leaves"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}
