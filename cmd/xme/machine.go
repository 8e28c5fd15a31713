package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine is where figures were taken.
type machine struct {
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Load   string `json:"load"` // what ran beside the benchmark: the mean of the last minute, at its start
}

// thisMachine describes the machine; what the system does not tell stays empty.
func thisMachine() machine {
	m := machine{CPUs: runtime.NumCPU(), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version()}
	info, _ := os.ReadFile("/proc/cpuinfo")
	m.CPU = cpuModel(string(info))
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m.Kernel = strings.TrimSpace(string(kernel))
	load, _ := os.ReadFile("/proc/loadavg")
	m.Load, _, _ = strings.Cut(string(load), " ")
	return m
}

// cpuModel finds the model in the text of /proc/cpuinfo.
func cpuModel(info string) string {
	for line := range strings.Lines(info) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (m machine) String() string {
	cpu := m.CPU
	if cpu == "" {
		cpu = m.Arch
	}
	text := fmt.Sprintf("%s, %d CPUs, %s, %s", cpu, m.CPUs, strings.TrimSpace(m.OS+" "+m.Kernel), m.Go)
	if m.Load != "" {
		text += ", load " + m.Load
	}
	return text
}
