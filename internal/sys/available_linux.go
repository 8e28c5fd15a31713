package sys

import (
	"io/fs"
	"math"
	"os"
	"path"
	"strings"
)

// AvailableMemory returns how many bytes of memory can be taken now, by this process and those beside it together,
// without any being killed for want of it: the least of what the machine has available, swap not counted, and what the
// limits of this process's control groups, version 1 and 2, leave. Levels that no mount shows are not seen. It is a
// guess, outdated at once; ok is false where nothing can be told. It reads some files per level (tens of microseconds).
func AvailableMemory() (bytes int64, ok bool) { return available(os.DirFS("/")) }

// available reads what files below the root directory fsys tell.
func available(fsys fs.FS) (int64, bool) {
	least := int64(math.MaxInt64)
	if n := meminfo(fsys, "MemAvailable"); n >= 0 {
		least = n
	}
	found, _ := groups(fsys, "memory")
	for _, g := range found {
		for _, l := range g.levels() {
			if n := leftIn(fsys, g.v2, l.dir); n >= 0 {
				least = min(least, n)
			}
		}
	}
	if least == math.MaxInt64 {
		return 0, false
	}
	return least, true
}

// leftIn returns how much memory the limit of one level leaves, -1 if there is none. Files that have been read once and
// are in the cache still are given up before anybody is killed.
func leftIn(fsys fs.FS, v2 bool, dir string) int64 {
	limitFile, usageFile, cache := "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
	if v2 {
		limitFile, usageFile, cache = "memory.max", "memory.current", "inactive_file"
	}
	limit, usage := word(fsys, dir, limitFile, 0), word(fsys, dir, usageFile, 0)
	if usage == "" || limit == "" || limit == "max" || number(limit) >= 1<<60 { // version 1 says "none" by a huge number
		return -1
	}
	used := number(usage)
	b, _ := fs.ReadFile(fsys, path.Join(dir, "memory.stat"))
	for line := range strings.Lines(string(b)) {
		if value, found := strings.CutPrefix(line, cache+" "); found {
			used -= min(used, max(0, number(strings.TrimSpace(value))))
			break
		}
	}
	return max(0, number(limit)-used)
}
