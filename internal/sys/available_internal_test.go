//go:build linux

package sys

import "testing"

const v1Memory = "34 31 0:31 / /sys/fs/cgroup/memory rw shared:9 master:1 - cgroup cgroup rw,memory\n"

// What is left, on machines made up.
func TestAvailable(t *testing.T) {
	t.Parallel()
	const (
		plenty = "MemTotal: 4096 kB\nMemAvailable: 2048 kB\n"
		mb     = 1 << 20
	)
	for name, tc := range map[string]struct {
		files map[string]string
		want  int64 // -1: nothing can be told
	}{
		"nothing": {nil, -1},
		"rubbish": {map[string]string{"proc/meminfo": "MemAvailable: much\n", "proc/self/mountinfo": "rubbish\n", "proc/self/cgroup": "rubbish\n"}, -1},
		"machine": {map[string]string{"proc/meminfo": plenty}, 2 * mb},
		"no limit": {map[string]string{
			"proc/meminfo": plenty, "proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.current": "4096\n",
		}, 2 * mb},
		"a limit, without a machine": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/memory.max": "8192\n", "sys/fs/cgroup/a/memory.current": "4096\n",
		}, 4096},
		"wider than the machine": {map[string]string{
			"proc/meminfo": plenty, "proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/memory.max": "8388608\n", "sys/fs/cgroup/a/memory.current": "4096\n",
		}, 2 * mb},
		"the outer level, cache given up": {map[string]string{
			"proc/meminfo": plenty, "proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/b/memory.max": "1048576\n", "sys/fs/cgroup/a/b/memory.current": "4096\n",
			"sys/fs/cgroup/a/memory.max": "1048576\n", "sys/fs/cgroup/a/memory.current": "1000000\n",
			"sys/fs/cgroup/a/memory.stat": "anon 5\nfile 400000\ninactive_anon 9\ninactive_file 300000\nactive_file 7\n",
		}, 348576},
		"over its limit": {map[string]string{
			"proc/meminfo": plenty, "proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/memory.max": "4096\n", "sys/fs/cgroup/a/memory.current": "8192\n",
		}, 0},
		"a limit of nothing": {map[string]string{
			"proc/meminfo": plenty, "proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/memory.max": "0\n", "sys/fs/cgroup/a/memory.current": "0\n",
		}, 0},
		"more cache than use": {map[string]string{
			"proc/meminfo": plenty, "proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2Mount,
			"sys/fs/cgroup/a/memory.max": "4096\n", "sys/fs/cgroup/a/memory.current": "1024\n",
			"sys/fs/cgroup/a/memory.stat": "inactive_file 9223372036854775807\n",
		}, 4096},
		"version 1": {map[string]string{
			"proc/meminfo": plenty, "proc/self/cgroup": "4:memory:/x/y\n3:cpuset:/z\n", "proc/self/mountinfo": v1Memory,
			"sys/fs/cgroup/memory/x/y/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/x/y/memory.usage_in_bytes": "1\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "1048576\n", "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "1048576\n",
			"sys/fs/cgroup/memory/x/memory.stat": "inactive_file 4096\ntotal_inactive_file 8192\n",
		}, 8192},
	} {
		n, ok := available(tree(tc.files))
		if ok != (tc.want >= 0) || ok && n != tc.want {
			t.Errorf("%s: %d, %v, want %d", name, n, ok, tc.want)
		}
	}
}

func TestAvailableHere(t *testing.T) {
	t.Parallel()
	if n, ok := AvailableMemory(); !ok || n <= 0 {
		t.Errorf("%d, %v", n, ok)
	}
}
