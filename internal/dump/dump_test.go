package dump_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/xenonmp/xme/internal/dump"
	"github.com/xenonmp/xme/internal/long"
)

const (
	std    = "\t/usr/local/go/src/runtime/proc.go:462 +0xce fp=0x7f sp=0x7e pc=0x48\n"
	engine = "github.com/xenonmp/xme.(*invocation).run(0x7f)\n\t/xme/task.go:142 +0xa5\nruntime.goexit({})\n" + std
)

var throw = strings.Join([]string{
	"runtime: goroutine stack exceeds 8388608-byte limit",
	"runtime: sp=0x1 stack=[0x1, 0x2]",
	"fatal error: stack overflow",
	"",
	"runtime stack:",
	"runtime.throw({0x4b, 0xe})",
	"\t/usr/local/go/src/runtime/panic.go:1101 +0x48",
	"",
	"goroutine 7 gp=0xc0 m=2 mp=0xc1 [running]:",
	"example.com/app.(*list).len(0x1)",
	"\t/src/app/list.go:12 +0x1 fp=0x1 sp=0x2 pc=0x3",
	"example.com/app.(*list).len(0x2)",
	"\t/src/app/list.go:12 +0x1 fp=0x1 sp=0x2 pc=0x3",
	"example.com/app.(*list).len(0x3)",
	"\t/src/app/list.go:12 +0x1 fp=0x1 sp=0x2 pc=0x3",
	"...1000 frames elided...",
	engine,
	"goroutine 1 gp=0xc0 m=nil [sync.WaitGroup.Wait]:",
	"github.com/xenonmp/xme.Init()",
	"\t/xme/init.go:41 +0x3b",
	"main.main()",
	"\t/src/app/main.go:25 +0x17",
	"",
	"goroutine 9 gp=0xc0 m=nil [chan receive, 2 minutes]:",
	"runtime.gopark(0x1)",
	std + "example.com/app.wait(0x1)",
	"\t/src/app/wait.go:3 +0x17",
	"created by example.com/app.start in goroutine 7",
	"\t/src/app/wait.go:9 +0x17",
	"",
	"goroutine 10 gp=0xc0 m=nil [chan receive]:",
	"example.com/app.wait(0x2)",
	"\t/src/app/wait.go:3 +0x17",
	"",
	"goroutine 11 gp=0xc0 m=nil [IO wait]:",
	"example.com/app.wait(0x2)",
	"\t/src/app/wait.go:3 +0x17",
	"",
	"rax    0xca",
	"",
}, "\n")

// What is shown of a crash: what happened, the user's goroutines and frames, each once.
//
// feature: S12
func TestCrash(t *testing.T) {
	t.Parallel()
	before, crash := dump.Split("hello\n" + throw)
	if before != "hello\n" || crash != throw {
		t.Fatalf("before %q, crash %q", before, crash)
	}
	const want = `runtime: goroutine stack exceeds 8388608-byte limit
fatal error: stack overflow

goroutine 7 [running]:
example.com/app.(*list).len(0x1)
	/src/app/list.go:12 +0x1
… (the same 2 times more)

goroutine 9 [chan receive, 2 minutes]:
example.com/app.wait(0x1)
	/src/app/wait.go:3 +0x17
created by example.com/app.start in goroutine 7
	/src/app/wait.go:9 +0x17

goroutine 10 [chan receive]:
example.com/app.wait(0x2)
	/src/app/wait.go:3 +0x17

goroutine 11 [IO wait]:
example.com/app.wait(0x2)
	/src/app/wait.go:3 +0x17

(1 goroutines of the engine and the Go runtime left out)`
	got := dump.Crash(crash)
	if got != want {
		t.Errorf("shown:\n%s\nwant:\n%s", got, want)
	}
	if f, ok := dump.First(got); !ok || f.Function != "example.com/app.(*list).len" || f.File != "/src/app/list.go" || f.Line != 12 {
		t.Errorf("the first frame of the user's: %+v, %t", f, ok)
	}
}

// What was written to another stream is read while the account of the crash is: it comes between.
//
// feature: S12
func TestBetween(t *testing.T) {
	t.Parallel()
	lines := strings.SplitAfter("fatal error: all is lost\n\ngoroutine 7 [running]:\nmain.f(0x1)\n\t/src/main.go:1 +0x1\n...9 frames elided...\n"+
		"main.g()\n\t/src/main.go:2 +0x1\ncreated by main.h in goroutine 1\n\t/src/main.go:3 +0x1\n\nrax 0x0\n", "\n")
	want := dump.Crash(strings.Join(lines, ""))
	if got := dump.Between(strings.Join(lines, "")); got != "" {
		t.Errorf("between: %q", got)
	}
	for i := 1; i <= len(lines); i++ { // before, it is part of what was said
		crash := strings.Join(lines[:i], "") + "loading\n" + strings.Join(lines[i:], "")
		if got := dump.Between(crash); got != "loading\n" {
			t.Errorf("at line %d: between: %q", i, got)
		}
		if got := dump.Crash(crash); got != want {
			t.Errorf("at line %d it shows:\n%s\nwant:\n%s", i, got, want)
		}
	}
	if got := dump.Between("fatal error: x\n\ngoroutine 0 [idle]:\n0000: 1 2 ....\n\ngoroutine 1 [running]:\ndone (all of it)\nmain.f()\n\t/src/main.go:1\n"); got != "done (all of it)\n" {
		t.Errorf("between: %q", got)
	}
}

// Goroutines that do the same are shown once, and many that do not are cut.
//
// feature: S12
func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("SIGQUIT: quit\nPC=0x48ad01 m=0 sigcode=0\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "\ngoroutine %d [chan receive, %d minutes]:\nexample.com/app.wait(0x%x)\n\t/src/app/wait.go:3 +0x17\n", i, i, i)
	}
	b.WriteString("\ngoroutine 2000 [running]:\nexample.com/app.loop()\n\t/src/app/loop.go:1 +0x1\n" + engine)
	const want = `SIGQUIT: quit

goroutine 2000 [running]:
example.com/app.loop()
	/src/app/loop.go:1 +0x1

goroutine 0 [chan receive, 0 minutes]: (and 999 alike)
example.com/app.wait(0x0)
	/src/app/wait.go:3 +0x17`
	if got := dump.Crash(b.String()); got != want {
		t.Errorf("shown:\n%s\nwant:\n%s", got, want)
	}
	const away = "SIGQUIT: quit\n\ngoroutine 0 [idle]:\nruntime.futex()\n\t/usr/local/go/src/runtime/x.s:1\n\n" +
		"goroutine 7 [running]:\n\tgoroutine running on other thread; stack unavailable\n"
	const seen = "SIGQUIT: quit\n\ngoroutine 7 [running]:\n\tgoroutine running on other thread; stack unavailable\n\n" +
		"(1 goroutines of the engine and the Go runtime left out)"
	if got := dump.Crash(away); got != seen {
		t.Errorf("shown:\n%s\nwant:\n%s", got, seen)
	}
	b.Reset()
	b.WriteString("fatal error: all is lost\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "\ngoroutine %d [running]:\nexample.com/app.wait()\n\t/src/app/wait.go:%d +0x17\n", i, i)
	}
	if got := dump.Crash(b.String()); len(got) > 17<<10 || !strings.HasSuffix(got, " more goroutines)") {
		t.Errorf("%d bytes, ending %q", len(got), got[max(0, len(got)-100):])
	}
}

// Where an account of a crash begins, and what it says in a line.
//
// feature: S12
func TestSplit(t *testing.T) {
	t.Parallel()
	const stack = "\ngoroutine 7 [running]:\nmain.f()\n\t/src/main.go:1 +0x1\n"
	for name, tc := range map[string]struct{ output, before, headline string }{
		"nothing":            {"", "", ""},
		"no crash":           {"fatal error: disk full\nbye\n", "fatal error: disk full\nbye\n", ""},
		"panic":              {"a\npanic: boom\n\tmore\n" + stack, "a\n", "panic: boom"},
		"raised again":       {"panic: boom [recovered]\n\tpanic: boom\n" + stack, "", "panic: boom"},
		"behind a line":      {"half a line" + "fatal error: all is lost\n" + stack, "half a line", "fatal error: all is lost"},
		"said, then crashed": {"panic: told\n" + stack + "fatal error: all is lost\n" + stack, "panic: told\n" + stack, "fatal error: all is lost"},
		"wild pointer": {
			"unexpected fault address 0x1\nfatal error: fault\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x1 pc=0x2]\n" + stack,
			"", "SIGSEGV: segmentation violation (fatal error: fault)",
		},
		"nil pointer": {
			"panic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x2]\n" + stack,
			"", "panic: runtime error: invalid memory address or nil pointer dereference",
		},
		"native":             {"oops\nSIGABRT: abort\nPC=0x1 m=0 sigcode=0\n" + stack, "oops\n", "SIGABRT: abort"},
		"falls over a dump":  {"SIGABRT: abort\nPC=0x1\n" + stack + "fatal error: unexpected signal\n" + stack, "", "SIGABRT: abort"},
		"asked":              {"SIGQUIT: quit\n" + stack, "", ""},
		"thread only":        {"fatal error: no stack\n\nruntime stack:\nruntime.throw()\n\t/x.go:1\n", "", "fatal error: no stack"},
		"no end":             {"\nfatal error: x\n\ngoroutine ", "\n", "fatal error: x"},
		"not of the runtime": {"my SIGABRT: abort\n" + stack, "my SIGABRT: abort\n" + stack, ""},
	} {
		before, crash := dump.Split(tc.output)
		if before != tc.before || before+crash != tc.output || dump.Headline(crash) != tc.headline {
			t.Errorf("%s: before %q, crash %q, headline %q; want %q and %q", name, before, crash, dump.Headline(crash), tc.before, tc.headline)
		}
	}
}

// A panic's stack begins where the panic was.
//
// feature: S12
func TestPanic(t *testing.T) {
	t.Parallel()
	var stack []byte
	func() {
		defer func() {
			_ = recover()
			stack = debug.Stack()
		}()
		indexes(nil, 3)
	}()
	got := dump.Panic(stack)
	f, ok := dump.First(got)
	if !ok || f.Function != "github.com/xenonmp/xme/internal/dump_test.indexes" || !strings.HasSuffix(f.File, "dump_test.go") || f.Line == 0 {
		t.Errorf("the first frame is %+v in:\n%s", f, got)
	}
	if _, after, _ := strings.Cut(got, "\n"); !strings.HasPrefix(after, f.Function+"(") {
		t.Errorf("something stands before the panic:\n%s", got)
	}
	if got := dump.Panic([]byte("no stack")); got != "no stack" {
		t.Errorf("%q", got)
	}
}

//go:noinline
func indexes(list []int, i int) int { return list[i] }

// Whose a frame is. The same holds in a program whose paths were trimmed.
//
// feature: S12
func TestFirst(t *testing.T) {
	t.Parallel()
	goroot := runtimeDir()
	for frames, want := range map[string]string{
		"panic({0x1})\n\t" + goroot + "runtime/panic.go:860\nfmt.Fprint()\n\t" + goroot + "fmt/print.go:1\nmain.f()\n\t/a/b.go:2":            "main.f",
		"golang.org/x/sys/unix.sendmsg()\n\t/m/golang.org/x/sys@v0.1.0/unix/z.go:5\ngithub.com/xenonmp/xme/internal/sys.Send()\n\t/x/f.go:1": "",
		"main._Cfunc_crash()\n\t_cgo_gotypes.go:45\nmain.g()\n\t/a/b.go:2":                                                                   "main.g",
		"main.(*T).m(...)\n\t<autogenerated>:1\nmain.h()\n\t/a/b.go:2":                                                                       "main.h",
		"github.com/xenonmp/xme.(*Func[...]).Call()\n\t/x/f.go:1\ngithub.com/xenonmp/xme/examples/pi.f()\n\t/x/e.go:1":                       "github.com/xenonmp/xme/examples/pi.f",
		"github.com/xenonmp/xme/internal/link.Serve()\n\t/x/f.go:1\ngithub.com/xenonmp/xme_test.f()\n\t/x/e_test.go:1":                       "github.com/xenonmp/xme_test.f",
		"non-Go function\n\tpc=0x48\nrunning/app.f[...](0x1)\n\t/running/app.go:1":                                                           "running/app.f[...]",
		"runtime.gopark()\n\t" + goroot + "runtime/proc.go:1":                                                                                "",
	} {
		f, _ := dump.First("goroutine 1 [running]:\n" + frames + "\n")
		if f.Function != want {
			t.Errorf("the first frame is %q, want %q, in:\n%s", f.Function, want, frames)
		}
	}
}

// runtimeDir is where the standard library is said to be in this binary's stacks.
func runtimeDir() string {
	pc, file, _, _ := runtime.Caller(0)
	_ = pc
	if !strings.HasPrefix(file, "/") {
		return "" // trimmed
	}
	for line := range strings.Lines(string(debug.Stack())) {
		if before, _, ok := strings.Cut(strings.TrimSpace(line), "runtime/debug/stack.go:"); ok {
			return before
		}
	}
	return ""
}

// feature: S12
func TestFirstWithTrimmedPaths(t *testing.T) {
	if os.Getenv("DUMP_TRIMMED") != "" || !long.Wanted() {
		t.Skip("the test of the test, or slow")
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-trimpath", "-count=1", "-run", "^Test(First|Panic)$", ".")
	cmd.Env = append(os.Environ(), "DUMP_TRIMMED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Nothing that a worker can print makes a reader fail or loses a byte.
//
// feature: S12
func FuzzDump(f *testing.F) {
	f.Add("hello\n" + throw)
	f.Add("panic: x\n\ngoroutine 1 [running]:\n\t\n(\ncreated by \n\t:\n")
	f.Add("SIGQUIT: quit\n\ngoroutine 1 [running]:\n" + engine)
	f.Fuzz(func(t *testing.T, text string) {
		before, crash := dump.Split(text)
		if before+crash != text {
			t.Fatalf("%q and %q are not %q", before, crash, text)
		}
		_ = dump.Headline(crash)
		for _, s := range []string{dump.Crash(text), dump.Panic([]byte(text))} {
			dump.First(s)
		}
	})
}

// A goroutine of the user's that waits for a lock of his own goes on when another lets him; one that waits for the engine's goes on by itself.
func TestWaits(t *testing.T) {
	t.Parallel()
	const leader = "goroutine 1 [select]:\ngithub.com/xenonmp/xme/mpi.(*world).wait(0xc000012345)\n\t/go/xme/mpi/world.go:10 +0x1\nexample.com/prog.work()\n\t/src/prog/main.go:3 +0x2\n"
	for name, tc := range map[string]struct {
		frames string
		waits  bool
	}{
		"the user's lock":   {"sync.(*Mutex).Lock(...)\n\t/usr/local/go/src/sync/mutex.go:45\nexample.com/prog.share()\n\t/src/prog/main.go:9 +0x2\n", true},
		"the engine's lock": {"sync.(*Mutex).Lock(...)\n\t/usr/local/go/src/sync/mutex.go:45\ngithub.com/xenonmp/xme/mpi.(*request).test(0xc000054321)\n\t/go/xme/mpi/request.go:39 +0x1\nexample.com/prog.poll()\n\t/src/prog/main.go:9 +0x2\n", false},
	} {
		stack := leader + "\ngoroutine 7 [sync.Mutex.Lock]:\n" + tc.frames
		if got := dump.Waits(stack, "github.com/xenonmp/xme/mpi.(*world).wait"); got != tc.waits {
			t.Errorf("%s: waits is %t, want %t", name, got, tc.waits)
		}
	}
}
