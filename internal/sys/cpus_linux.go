package sys

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// CPUs returns how many CPUs this process may really use, at least 1, and in a few words what bounds it: the CPUs it may
// run on, or the quota of its control group or of any above it, version 1 or 2, rounded up. Levels that no mount shows
// are not seen. It reads files: call it once, not per row.
func CPUs() (n int, why string) {
	n = runtime.NumCPU() // as it was when the process started
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err == nil { // fails beyond 1024 CPUs
		n = set.Count()
	}
	return tightest(os.DirFS("/"), n)
}

// tightest bounds n by the quotas found below the root directory fsys.
func tightest(fsys fs.FS, n int) (int, string) {
	n = max(n, 1)
	why, least := "affinity", float64(n)
	found, err := groups(fsys, "cpu")
	if err != nil {
		return n, why
	}
	for _, g := range found {
		for _, l := range g.levels() {
			quota, period := quotaOf(fsys, g.v2, l.dir)
			if quota <= 0 || period <= 0 || float64(quota)/float64(period) >= least {
				continue
			}
			least = float64(quota) / float64(period)
			version := 1
			if g.v2 {
				version = 2
			}
			n = max(1, int(quota/period))
			if quota > period && quota%period != 0 {
				n++
			}
			why = fmt.Sprintf("cgroup v%d quota %d/%d of %s", version, quota, period, l.name)
		}
	}
	return n, why
}

// quotaOf reads how many microseconds of CPU time a group may use in each period; zero or less means no bound.
func quotaOf(fsys fs.FS, v2 bool, dir string) (quota, period int64) {
	if !v2 {
		return number(word(fsys, dir, "cpu.cfs_quota_us", 0)), number(word(fsys, dir, "cpu.cfs_period_us", 0))
	}
	return number(word(fsys, dir, "cpu.max", 0)), number(word(fsys, dir, "cpu.max", 1)) // "max 100000" when there is none
}

// word returns the i-th word of a small file, or "".
func word(fsys fs.FS, dir, name string, i int) string {
	b, err := fs.ReadFile(fsys, path.Join(dir, name))
	if f := strings.Fields(string(b)); err == nil && i < len(f) {
		return f[i]
	}
	return ""
}

// number is 0 for what is none.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
