package sys

import "syscall"

// Start has the process that is started with attr begin inside of the group. A nil
// group changes nothing.
func (c *Cgroup) Start(attr *syscall.SysProcAttr) {
	if c != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, c.FD()
	}
}
