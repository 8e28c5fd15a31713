package sys_test

import (
	"testing"

	"github.com/xenonmp/xme/internal/sys"
)

func BenchmarkYield(b *testing.B) {
	for b.Loop() {
		sys.Yield()
	}
}
