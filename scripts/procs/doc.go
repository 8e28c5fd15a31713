// Package procs looks at processes, descriptors and files from outside, through
// Linux's /proc: what the soak tools check the engine with must not be the
// engine's own. Of the engine's it reads errors only: see [Struck].
package procs
