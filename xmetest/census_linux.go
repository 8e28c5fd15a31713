package xmetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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
	for _, pid := range childProcesses() {
		comm, _ := os.ReadFile("/proc/" + pid + "/comm")
		c[fmt.Sprintf("child process %s %s", pid, strings.TrimSpace(string(comm)))]++
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

// childProcesses returns the numbers of this process's children. (Not every kernel lists them for us, in /proc/self/task/*/children.)
func childProcesses() (pids []string) {
	all, _ := os.ReadDir("/proc")
	for _, e := range all {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		b, _ := os.ReadFile("/proc/" + e.Name() + "/stat")
		rest := string(b)[strings.LastIndex(string(b), ")")+1:] // behind the name, which may hold anything
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(os.Getpid()) {
			pids = append(pids, e.Name())
		}
	}
	return pids
}
