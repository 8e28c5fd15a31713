package sys

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// mapSection maps the first size bytes of a section.
func mapSection(f *os.File, size int, writable bool) (b []byte, err error) {
	access := uint32(windows.FILE_MAP_READ)
	if writable {
		access |= windows.FILE_MAP_WRITE
	}
	var at uintptr
	var mapErr error
	err = control(f, func(fd uintptr) { at, mapErr = windows.MapViewOfFile(windows.Handle(fd), access, 0, 0, uintptr(size)) })
	if err == nil {
		err = os.NewSyscallError("MapViewOfFile", mapErr)
	}
	if err != nil {
		return nil, err
	}
	// The view is no memory of Go's: its address is turned into a pointer as it lies.
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&at)), size), nil
}

func unmapSection(b []byte) error {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return os.NewSyscallError("UnmapViewOfFile", windows.UnmapViewOfFile(at))
}

func securityAttributes(sd *windows.SECURITY_DESCRIPTOR) *windows.SecurityAttributes {
	return &windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: sd}
}

var ntQuerySection = windows.NewLazySystemDLL("ntdll.dll").NewProc("NtQuerySection")

// committedSize returns the size of a section in bytes. One that shows a file or a program, whose pages may fail to come,
// and one that is merely reserved are errors.
func committedSize(h windows.Handle) (int64, error) {
	var info struct { // SECTION_BASIC_INFORMATION
		base       uintptr
		attributes uint32
		size       int64
	}
	if err := ntQuerySection.Find(); err != nil {
		return 0, err
	}
	status, _, _ := ntQuerySection.Call(uintptr(h), 0, uintptr(unsafe.Pointer(&info)), unsafe.Sizeof(info), 0)
	if status != 0 {
		return 0, os.NewSyscallError("NtQuerySection", windows.NTStatus(status))
	}
	const file, image, reserve, commit = 0x800000, 0x1000000, 0x4000000, 0x8000000
	if info.attributes&(file|image|reserve|commit) != commit {
		return 0, errNotCommitted
	}
	return info.size, nil
}
