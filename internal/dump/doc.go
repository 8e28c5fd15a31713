// Package dump reads what the Go runtime prints of a program that panics, crashes or is asked to quit, so that an error
// shows its reader the goroutines and frames that are his: the frame in which it happened first, the runtime's and the
// engine's own left out.
//
// The text is the runtime's of Go 1.26, which promises no form. What is not understood is kept as it is, and no text
// makes a function of this package fail.
//
//	fatal error: all is lost                       the head: what happened
//	[signal SIGSEGV: segmentation violation …]
//
//	runtime stack:                                 of the thread, without a goroutine
//	runtime.throw({0x4cb1d4, 0x5})
//		/usr/local/go/src/runtime/panic.go:1101 +0x48 fp=0x7ffc…
//
//	goroutine 7 gp=0xc0… m=2 mp=0xc0… [running]:   the first is the one that crashed
//	main.f(0x1)                                    a frame: two lines
//		/src/main.go:12 +0x28 fp=0xc0…
//	created by main.g in goroutine 1
//		/src/main.go:8 +0x185
//
//	rax 0x0                                        registers, after some signals
package dump
