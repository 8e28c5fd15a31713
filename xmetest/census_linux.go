package xmetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// takeCensus counts descriptors, children, mappings and files.
func takeCensus() census {
	c := census{}
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, e := range fds {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil {
			continue // the descriptor of the listing itself
		}
		if kind, _, numbered := strings.Cut(target, ":["); numbered && kind != "anon_inode" {
			target = kind // a socket's or pipe's number says nothing
		}
		c["descriptor "+target]++
	}
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for pid := range strings.FieldsSeq(string(b)) {
			comm, _ := os.ReadFile("/proc/" + pid + "/comm")
			c[fmt.Sprintf("child process %s %s", pid, strings.TrimSpace(string(comm)))]++
		}
	}
	maps, _ := os.ReadFile("/proc/self/maps")
	for line := range strings.Lines(string(maps)) {
		if i := strings.Index(line, "/memfd:xme"); i >= 0 {
			c["mapping "+strings.TrimSpace(line[i:])]++
		}
	}
	for _, dir := range []string{os.TempDir(), "/dev/shm"} {
		files, _ := filepath.Glob(filepath.Join(dir, "xme-*"))
		for _, f := range files {
			c["file "+f]++
		}
	}
	return c
}
