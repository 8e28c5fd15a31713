package sys_test

import (
	"testing"

	"github.com/xenonmp/xme/internal/sys"
)

func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"fatal error: runtime: out of memory",
		"fatal error: runtime: cannot allocate memory",
		"fatal error: out of memory",
		"fatal error: out of memory (stackalloc)",
		"fatal error: out of memory allocating heap arena metadata",
		"fatal error: out of memory allocating heap arena map",
		"runtime/cgo: pthread_create failed: Resource temporarily unavailable",
		"runtime/cgo: out of memory in thread_start",
		"runtime: failed to create new OS thread (have 7 already; errno=12)",
		"  what():  std::bad_alloc",
		"==7==ERROR: ThreadSanitizer: out of memory: failed to allocate 0x20000 (131072) bytes of TracePart (error code: 12)",
		"==7==ERROR: ThreadSanitizer failed to allocate 0x1000 (4096) bytes of stack depot (error code: 12)",
	} {
		got, ok := sys.OutOfMemory("before\r\n" + line + "\r\n\nruntime stack:\n")
		if !ok || got != line {
			t.Errorf("%q: found %q, %v", line, got, ok)
		}
	}
	for _, trace := range []string{"\n\nruntime stack:\nruntime.throw(", "\n\ngoroutine 1 [running]:\n"} {
		const line = "no end of linefatal error: runtime: cannot allocate memory"
		if got, ok := sys.OutOfMemory(line + trace); !ok || got != line {
			t.Errorf("behind an unfinished line: found %q, %v", got, ok)
		}
	}
	crash := "SIGSEGV: segmentation violation\nPC=0x432d3d m=0 sigcode=1 addr=0x0\n\ngoroutine 0 [idle]:\nruntime."
	if line, ok := sys.OutOfMemory(crash + "(*spanQueue).tryDrain(0x7fff00000400?)\n"); !ok {
		t.Errorf("in the collector: found %q", line)
	}
	for _, output := range []string{
		crash + "other()\n",
		"", "out of memory", "the service said: fatal error: out of memory", "fatal error: all goroutines are asleep - deadlock!",
		"fatal error: runtime: cannot map pages in arena address space", "panic: runtime error: makeslice: len out of range",
	} {
		if line, ok := sys.OutOfMemory(output); ok {
			t.Errorf("%q: found %q", output, line)
		}
	}
}
