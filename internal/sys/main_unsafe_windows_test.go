package sys_test

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var getProcessHandleCount = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetProcessHandleCount")

// handles returns how many handles this process has.
func handles() int {
	var n uint32
	_, _, _ = getProcessHandleCount.Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&n)))
	return int(n)
}

// protect changes the protection of the first page of a mapping.
func protect(b []byte, how uint32) error {
	var old uint32
	return windows.VirtualProtect(uintptr(unsafe.Pointer(unsafe.SliceData(b))), 1, how, &old)
}

// protection returns the protection of a mapping's first page.
func protection(b []byte) uint32 {
	var info windows.MemoryBasicInformation
	_ = windows.VirtualQuery(uintptr(unsafe.Pointer(unsafe.SliceData(b))), &info, unsafe.Sizeof(info))
	return info.Protect
}
