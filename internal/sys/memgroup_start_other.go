//go:build !linux

package sys

import "syscall"

// Start changes nothing here.
func (c *Cgroup) Start(*syscall.SysProcAttr) {}
