package link

import (
	"testing"

	"github.com/xenonmp/xme/internal/sys"
)

// Segments that lie idle do not keep out a value of another size where no more may be made.
func TestIdleSegmentsGiveWay(t *testing.T) {
	t.Parallel()
	if !sys.HasShared {
		t.Skip("there is no shared memory")
	}
	var forgotten []uint64
	s := Segments{bound: 3, Forget: func(id uint64) { forgotten = append(forgotten, id) }}
	defer s.Close()
	var small []*Segment
	for range 3 {
		small = append(small, s.Get(64<<10))
	}
	if s.Get(1<<20) != nil {
		t.Error("a fourth, with all in use")
	}
	for _, g := range small {
		g.Free()
	}
	g := s.Get(1 << 20)
	if g == nil || len(g.Bytes()) < 1<<20 {
		t.Fatalf("none for a larger value: %v", g)
	}
	if len(forgotten) != 1 || forgotten[0] != small[0].ID {
		t.Errorf("%v were forgotten", forgotten)
	}
	g.Free()
}
