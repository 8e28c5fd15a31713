// Package sys is the only door to the kernel: every system call that the
// standard library does not offer in portable form is made here, once per
// operating system. The packages above it compile everywhere; what a system
// cannot do returns an error that wraps errors.ErrUnsupported.
package sys
