package dump

import (
	"path"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const module = "github.com/xenonmp/xme"

// ours are the module's folders that are no part of the engine.
var ours = []string{"examples", "cmd", "scripts", "bench"}

// isEngine reports whether a function is the engine's own.
func isEngine(name string) bool {
	pkg := packageOf(name)
	rest, ok := strings.CutPrefix(pkg, module+"/")
	if !ok {
		return pkg == module
	}
	top, _, _ := strings.Cut(rest, "/")
	return !slices.Contains(ours, top) && !strings.HasSuffix(rest, "_test")
}

// libraries are what the engine is built on. As with the standard library's, a user who calls them has a frame below.
var libraries = []string{"golang.org/x/sys/", "github.com/fxamacker/cbor/", "github.com/x448/float16"}

// isUser reports whether a frame is of the user's program: neither the engine's, nor the runtime's and the standard
// library's, nor made by a tool.
func isUser(f frame) bool {
	name, file := f.name(), f.file()
	if !strings.Contains(f.place, ".go:") || strings.HasPrefix(file, "_cgo_") || strings.HasPrefix(file, "<") {
		return false
	}
	return name != "panic" && !isEngine(name) && !isStandard(packageOf(name), file) &&
		!slices.ContainsFunc(libraries, func(l string) bool { return strings.HasPrefix(name, l) })
}

// isStandard reports whether a package is of the standard library.
func isStandard(pkg, file string) bool {
	if root, main := built(); root != "" {
		return strings.HasPrefix(file, root)
	} else if pkg == "main" || main != "" && strings.HasPrefix(pkg, main) {
		return false
	}
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".") && path.Dir(file) == pkg
}

// built returns where the standard library's files were when this program was built, empty if the build trimmed that,
// and the path of the main module.
var built = sync.OnceValues(func() (root, main string) {
	pc := reflect.ValueOf(runtime.GC).Pointer()
	if f := runtime.FuncForPC(pc); f != nil {
		file, _ := f.FileLine(pc)
		root = strings.TrimSuffix(file, "runtime/mgc.go")
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		main = info.Main.Path
	}
	return root, main
})

// packageOf cuts the import path out of a function's name.
func packageOf(name string) string {
	name, _, _ = strings.Cut(name, "[") // type arguments may hold slashes
	slash := strings.LastIndexByte(name, '/') + 1
	if dot := strings.IndexByte(name[slash:], '.'); dot >= 0 {
		return name[:slash+dot]
	}
	return name
}

// isInner reports whether a function is one of the runtime's own that its dumps hide unless it crashed itself.
func isInner(name string) bool {
	switch pkg := packageOf(name); {
	case strings.HasPrefix(pkg, "internal/runtime/"):
		return true
	case pkg != "runtime":
		return false
	}
	c := strings.TrimPrefix(name, "runtime.")
	return c == "" || c[0] < 'A' || c[0] > 'Z'
}

// First returns the first frame of the user's own in a stack, and false if it has none.
func First(stack string) (runtime.Frame, bool) {
	for _, g := range parse(stack).goroutines {
		for _, f := range g.frames {
			if isUser(f) {
				file, line, _ := strings.Cut(f.file(), ".go:")
				n, _ := strconv.Atoi(line)
				return runtime.Frame{Function: f.name(), File: file + ".go", Line: n}, true
			}
		}
	}
	return runtime.Frame{}, false
}

// Short returns a file's name with the folder that it is in.
func Short(file string) string {
	file = strings.ReplaceAll(file, `\`, "/")
	return path.Join(path.Base(path.Dir(file)), path.Base(file))
}
