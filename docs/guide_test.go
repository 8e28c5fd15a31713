package docs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xenonmp/xme/internal/long"
)

// Every program of the guide and of the README is compiled and run, and prints what the page shows.
//
// feature: S1, S3, S4, S5, S7, S8, S10, S12, L1, L2, L3, U5, U7
func TestGuide(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join("docs", "guide", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	mod := guideModule(t)
	for _, file := range append(pages, "README.md") {
		if filepath.Base(file) == "README.md" && file != "README.md" {
			continue // the index, see TestGuideIndex
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".md"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			page, err := readGuide(string(text))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			for _, link := range page.links {
				if _, err := os.Stat(filepath.Join(filepath.Dir(file), filepath.FromSlash(link))); err != nil {
					t.Errorf("%s: a link: %v", file, err)
				}
			}
			for _, b := range page.shells {
				if fault := checkShell(b.text); fault != "" {
					t.Errorf("%s:%d: %s", file, b.line, fault)
				}
			}
			checkPrograms(t, file, page.programs, mod)
		})
	}
}

// The guide's index names each page once.
func TestGuideIndex(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile(filepath.Join("docs", "guide", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range regexp.MustCompile(`(?m)^\d+\. \[[^\]]+\]\(([^)]+)\)`).FindAllStringSubmatch(string(index), -1) {
		named = append(named, m[1])
	}
	slices.Sort(named)
	pages, _ := filepath.Glob(filepath.Join("docs", "guide", "*.md"))
	var there []string
	for _, p := range pages {
		if name := filepath.Base(p); name != "README.md" {
			there = append(there, name)
		}
	}
	slices.Sort(there)
	if !slices.Equal(named, there) {
		t.Errorf("the index names %v, there are %v", named, there)
	}
}

// The index of the examples names each of their folders, and what it links is there.
func TestExamplesIndex(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile(filepath.Join("examples", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(index), -1) {
		if _, err := os.Stat(filepath.Join("examples", filepath.FromSlash(m[1]))); err != nil {
			t.Errorf("a link: %v", err)
		}
		folder, _, _ := strings.Cut(m[1], "/")
		named[folder] = true
	}
	all, err := os.ReadDir("examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.IsDir() && !named[e.Name()] {
			t.Errorf("the index does not name %s", e.Name())
		}
	}
}

// guideModule returns the go.mod of a program that uses this module.
func guideModule(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(own), "\n")
	return fmt.Sprintf("module app\n%s\nrequire %s v0.0.0\n\nreplace %s => %q\n", rest, modulePath, modulePath, root)
}

// checkPrograms builds and runs a page's programs, each in a folder "app" of one module.
func checkPrograms(t *testing.T, file string, programs []*guideProgram, mod string) {
	if len(programs) == 0 {
		return
	}
	dir := t.TempDir()
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", mod)
	write("go.sum", string(sums))
	for _, p := range programs {
		name := "main.go"
		if p.test() {
			name = "main_test.go"
		}
		write(fmt.Sprintf("line%d/app/%s", p.line, name), p.source)
	}
	if long.Wanted() { // vet reads all that a program is made of
		if out, err := guideRunIn(t, dir, nil, "go", "vet", "./..."); err != nil {
			t.Fatalf("%s: go vet: %v\n%s", file, err, out)
		}
	}
	for _, p := range programs {
		at := filepath.Join(dir, fmt.Sprintf("line%d", p.line), "app")
		command := []string{"go", "test"}
		if !p.test() {
			command = []string{filepath.Join(t.TempDir(), "app.exe")} // a name that every system runs
			if out, err := guideRunIn(t, at, nil, "go", "build", "-ldflags=-w", "-o", command[0], "."); err != nil {
				t.Fatalf("%s:%d: go build: %v\n%s", file, p.line, err, out)
			}
		}
		if len(p.runs) == 0 {
			args := command
			if p.test() {
				args = append(args, "-v")
			}
			if out, err := guideRunIn(t, at, nil, args...); err != nil {
				t.Errorf("%s:%d: %v\n%s", file, p.line, err, out)
			}
		}
		for _, r := range p.runs {
			out, err := guideRunIn(t, at, r.env, append(slices.Clip(command), r.args...)...)
			if err != nil && !p.test() {
				out += err.Error() + "\n" // as go run does
			}
			if fault := matchOutput(r.output, out); fault != "" && runtime.GOOS == "linux" {
				t.Errorf("%s:%d: %s; it printed:\n%s", file, r.line, fault, out)
			}
		}
	}
}

// guideRunIn runs a command and returns what it printed. Nothing is fetched.
func guideRunIn(t *testing.T, dir string, env []string, command ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // compilers run beside
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod", "GOPROXY=off", "GOWORK=off", "PWD="+dir)
	cmd.Env = append(cmd.Env, env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // with all stacks
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%v hangs; it printed:\n%s", command, out)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", command, err)
	}
	return string(out), err
}

// shellWords are the programs that the guide's commands may name, besides what go builds.
var shellWords = []string{"cat", "curl", "dlv", "docker", "echo", "git", "kill", "ps", "ulimit"}

// checkShell says what the commands of a block name that is not there, or nothing.
func checkShell(text string) string {
	built := map[string]bool{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, " #")
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "$ "))
		for len(words) > 0 && strings.Contains(words[0], "=") {
			words = words[1:]
		}
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		for i, w := range words {
			w = strings.Trim(w, `"'`)
			local, own := strings.CutPrefix(strings.SplitN(w, "@", 2)[0], modulePath+"/")
			if !own && strings.HasPrefix(w, "./") && !built[w] {
				local, own = w[len("./"):], true
			}
			if local = strings.TrimSuffix(local, "/..."); own && local != "..." {
				if _, err := os.Stat(filepath.FromSlash(local)); err != nil {
					return fmt.Sprintf("%q: there is no %s", line, w)
				}
			}
			if i > 0 && words[i-1] == "-o" {
				built["./"+w] = true
			}
			command, is := strings.CutPrefix(folderAndNext(words, i), "cmd/xme ")
			if is && !slices.Contains(xmeCommands(), command) {
				return fmt.Sprintf("%q: xme has no command %s", line, command)
			}
		}
		goes := words[0] == "go" && len(words) > 1 && slices.Contains([]string{"build", "get", "install", "mod", "run", "test", "tool", "version"}, words[1])
		xme := words[0] == "xme" && len(words) > 1 && slices.Contains(xmeCommands(), words[1])
		if !goes && !xme && !built[words[0]] && !slices.Contains(shellWords, words[0]) {
			return fmt.Sprintf("%q: not a command that is known", line)
		}
	}
	return ""
}

// folderAndNext is the folder of this module that word i names, and the word behind.
func folderAndNext(words []string, i int) string {
	if i+1 >= len(words) {
		return ""
	}
	w := strings.TrimPrefix(strings.TrimPrefix(words[i], modulePath+"/"), "./")
	return strings.SplitN(w, "@", 2)[0] + " " + words[i+1]
}

// xmeCommands are the commands of cmd/xme.
func xmeCommands() []string {
	b, err := os.ReadFile(filepath.Join("cmd", "xme", "main.go"))
	if err != nil {
		return nil
	}
	var all []string
	for _, m := range regexp.MustCompile("(?m)^\t([A-Z]\\w+) +\\w+Command +`cmd:").FindAllStringSubmatch(string(b), -1) {
		all = append(all, strings.ToLower(m[1]))
	}
	return all
}
