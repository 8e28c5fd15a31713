//go:build linux

package sys

import (
	"testing"
	"testing/fstest"
)

// tree makes a root directory of files.
func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

const (
	v2Mount = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	v1Mount = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct\n"
	noise   = "22 1 0:21 / /proc rw - proc proc rw\n\n23 1 0:22 / / rw\nnonsense\n"
)

func TestTightest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		affinity int
		files    map[string]string
		want     int
		why      string
	}{
		"no proc": {affinity: 3, want: 3, why: "affinity"},
		"no mount": {affinity: 3, want: 3, why: "affinity", files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": noise,
		}},
		"v2 rounds up": {affinity: 4, want: 2, why: "cgroup v2 quota 150000/100000 of /a/b", files: map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": noise + v2Mount,
			"sys/fs/cgroup/a/b/cpu.max": "150000 100000\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n",
		}},
		"v2 outer level": {affinity: 4, want: 1, why: "cgroup v2 quota 50000/50000 of /a", files: map[string]string{
			"proc/self/cgroup": "0::/a/b/c\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/b/c/cpu.max": "300000 100000\n", "sys/fs/cgroup/a/cpu.max": "50000 50000\n",
		}},
		"v2 whole": {affinity: 4, want: 2, why: "cgroup v2 quota 200000/100000 of /a", files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount, "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
		}},
		"v2 less than one": {affinity: 4, want: 1, why: "cgroup v2 quota 1000/100000 of /a", files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount, "sys/fs/cgroup/a/cpu.max": "1000 100000\n",
		}},
		"less than one of one": {affinity: 1, want: 1, why: "cgroup v2 quota 1000/100000 of /a", files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount, "sys/fs/cgroup/a/cpu.max": "1000 100000\n",
		}},
		"wide quota": {affinity: 2, want: 2, why: "affinity", files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount, "sys/fs/cgroup/a/cpu.max": "9223372036854775807 1\n",
		}},
		"wider than affinity": {affinity: 2, want: 2, why: "affinity", files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount, "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
		}},
		"wider outside": {affinity: 8, want: 2, why: "cgroup v2 quota 200000/100000 of /a/b", files: map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/b/cpu.max": "200000 100000\n", "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
		}},
		"container": {affinity: 8, want: 3, why: "cgroup v2 quota 300000/100000 of /", files: map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2Mount, "sys/fs/cgroup/cpu.max": "300000 100000\n",
		}},
		"v1": {affinity: 8, want: 5, why: "cgroup v1 quota 410000/100000 of /x", files: map[string]string{
			"proc/self/cgroup": "9:name=systemd:/s\n4:cpu,cpuacct:/x/y\n", "proc/self/mountinfo": v1Mount,
			"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "410000\n", "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/x/y/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/x/y/cpu.cfs_period_us": "100000\n",
		}},
		"v1 none": {affinity: 8, want: 8, why: "affinity", files: map[string]string{
			"proc/self/cgroup": "4:cpu,cpuacct:/x\n", "proc/self/mountinfo": v1Mount,
			"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
		}},
		"hybrid": {affinity: 8, want: 2, why: "cgroup v1 quota 200000/100000 of /x", files: map[string]string{
			"proc/self/cgroup":                        "4:cpu,cpuacct:/x\n3:cpuset:/z\n0::/u\n",
			"proc/self/mountinfo":                     "40 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n" + v1Mount + "41 31 0:39 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n",
			"sys/fs/cgroup/cpuset/x/cpu.cfs_quota_us": "100000\n", "sys/fs/cgroup/cpuset/x/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "200000\n", "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/unified/u/cgroup.procs": "",
		}},
		"another v1 hierarchy": {affinity: 8, want: 8, why: "affinity", files: map[string]string{
			"proc/self/cgroup":     "4:cpuset:/x\n",
			"proc/self/mountinfo":  "33 31 0:30 / /c rw - cgroup cgroup rw,cpuset\n",
			"c/x/cpu.cfs_quota_us": "100000\n", "c/x/cpu.cfs_period_us": "100000\n",
		}},
		"sub-tree": {affinity: 8, want: 1, why: "cgroup v2 quota 100000/100000 of /docker/x", files: map[string]string{
			"proc/self/cgroup": "0::/docker/x/y\n", "proc/self/mountinfo": "30 23 0:26 /docker/x /cg rw - cgroup2 cgroup2 rw\n",
			"cg/cpu.max": "100000 100000\n", "cg/y/cpu.max": "200000 100000\n",
		}},
		"a name alike": {affinity: 8, want: 8, why: "affinity", files: map[string]string{
			"proc/self/cgroup": "0::/dockers\n", "proc/self/mountinfo": "30 23 0:26 /docker /cg rw - cgroup2 cgroup2 rw\n",
			"cg/cpu.max": "100000 100000\n", "cg/s/cpu.max": "100000 100000\n",
		}},
		"mount of others": {affinity: 8, want: 2, why: "cgroup v2 quota 200000/100000 of /a", files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": "30 23 0:26 /b /cg rw - cgroup2 cgroup2 rw\n" + v2Mount,
			"cg/cpu.max": "100000 100000\n", "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
		}},
		"mounted outside the namespace": {affinity: 8, want: 4, why: "cgroup v2 quota 400000/100000 of /../..", files: map[string]string{
			"proc/self/cgroup": "0::/y\n", "proc/self/mountinfo": "30 23 0:26 /../.. /cg rw - cgroup2 cgroup2 rw\n",
			"cg/cpu.max": "400000 100000\n", "cg/y/cpu.max": "100000 100000\n", // a group of the same name elsewhere
		}},
		"beside the namespace": {affinity: 8, want: 3, why: "cgroup v2 quota 300000/100000 of /../y", files: map[string]string{
			"proc/self/cgroup": "0::/../y/z\n", "proc/self/mountinfo": "30 23 0:26 /.. /cg rw - cgroup2 cgroup2 rw\n",
			"cg/y/z/cpu.max": "max 100000\n", "cg/y/cpu.max": "300000 100000\n",
		}},
		"a mount inside, the process outside": {affinity: 8, want: 8, why: "affinity", files: map[string]string{
			"proc/self/cgroup": "0::/..\n", "proc/self/mountinfo": v2Mount, "sys/fs/cgroup/cpu.max": "100000 100000\n",
		}},
		"blanks and colons": {affinity: 8, want: 1, why: "cgroup v2 quota 100000/100000 of /a b:c", files: map[string]string{
			"proc/self/cgroup": "0::/a b:c\n", "proc/self/mountinfo": `30 23 0:26 / /my\040groups rw - cgroup2  rw` + "\n",
			"my groups/a b:c/cpu.max": "100000 100000\n",
		}},
		"mounted as root": {affinity: 8, want: 1, why: "cgroup v2 quota 100000/100000 of /a", files: map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": "30 23 0:26 / / rw - cgroup2 cgroup2 rw\n",
			"a/cpu.max": "100000 100000\n",
		}},
		"nonsense": {affinity: 8, want: 8, why: "affinity", files: map[string]string{
			"proc/self/cgroup": "0::/a\n:::\nx\n", "proc/self/mountinfo": v2Mount, "sys/fs/cgroup/a/cpu.max": "many few\n",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if n, why := tightest(tree(tc.files), tc.affinity); n != tc.want || why != tc.why {
				t.Errorf("%d by %q, want %d by %q", n, why, tc.want, tc.why)
			}
		})
	}
}
