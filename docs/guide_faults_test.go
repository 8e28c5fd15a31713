package docs_test

import (
	"strings"
	"testing"
)

// TestGuideMatcher keeps TestGuide able to fail.
func TestGuideMatcher(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ shown, printed, want string }{
		"the same":           {"a\nb\n", "a\nb\n", ""},
		"no last newline":    {"a\nb", "a\nb\n", ""},
		"nothing":            {"", "", ""},
		"another line":       {"a\nb\n", "a\nc\n", `line 2: shown "b", printed "c"`},
		"a line is missing":  {"a\nb\n", "a\n", `line 2: shown "b", printed the end`},
		"a line too many":    {"a\n", "a\nb\n", `printed beyond what is shown: "b"`},
		"too early":          {"a\nb\n", "b\na\n", `line 1: shown "a", printed "b"`},
		"part of a line":     {"a", "ab", `line 1: shown "a", printed "ab"`},
		"any text":           {"pid …, … left\n", "pid 17, 3 left\n", ""},
		"any text is empty":  {"a…", "a", ""},
		"not over lines":     {"a…c", "a\nc", `line 1: shown "a…c", printed "a"`},
		"text around it":     {"pid … left", "pid 17 gone", `line 1: shown "pid … left", printed "pid 17 gone"`},
		"signs":              {"a.c (x)*", "abc (x)*", `line 1: shown "a.c (x)*", printed "abc (x)*"`},
		"any lines":          {"a\n…\nz\n", "a\nb\nc\nz\n", ""},
		"no lines":           {"a\n…\nz\n", "a\nz\n", ""},
		"lines, then wrong":  {"a\n…\nz\n", "a\nb\ny\n", `line 3: shown "z", printed "b"`},
		"lines to the end":   {"a\n…\n", "a\nb\nc\n", ""},
		"lines, the last z":  {"…\nz\n", "z\nz\n", ""},
		"lines, more behind": {"…\nz\n", "z\ny\n", `printed beyond what is shown: "y"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := matchOutput(tc.shown, tc.printed); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestGuidePages keeps what reads the pages able to fail.
func TestGuidePages(t *testing.T) {
	t.Parallel()
	const program = "```go\npackage main\n\nfunc main() {}\n```\n"
	for name, tc := range map[string]struct{ page, want string }{
		"a program":           {program + "```text\n$ go run . -n 1\n1\n```\n", ""},
		"a longer program":    {program + "```go\nfunc more() {}\n```\n", ""},
		"two":                 {program + program, ""},
		"with an environment": {program + "```text\n$ A=b go run .\n```\n", ""},
		"no block":            {"# Words\n", "no block"},
		"in no program":       {"words\n```go\nfunc main() {}\n```\n", "line 2: this go block is in no program"},
		"output of nothing":   {"```text\n$ go run .\n```\n" + program, "below no program"},
		"run otherwise":       {program + "```text\n$ go test\n```\n", "not how the program above is run"},
		"another language":    {program + "```python\n1\n```\n", `kind "python"`},
		"no end":              {"```go\npackage main\n", "line 1: the block has no end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readGuide(tc.page)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestGuideCommands keeps what checks the pages' commands able to fail.
func TestGuideCommands(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"an example":      {"go run ./examples/pi -n 100 # words\n", ""},
		"no example":      {"go run ./examples/euler\n", "there is no ./examples/euler"},
		"its command":     {"go run " + modulePath + "/cmd/xme@latest doctor\n", ""},
		"not its command": {"go run ./cmd/xme surgeon\n", "xme has no command surgeon"},
		"installed":       {"xme doctor --json\n", ""},
		"not installed":   {"xme surgeon\n", "not a command that is known"},
		"built before":    {"go build -o app .\nXME_WAIT=1 ./app\n", ""},
		"not built":       {"./app\n", "there is no ./app"},
		"unknown":         {"frobnicate 1\n", "not a command that is known"},
		"none of go's":    {"go runn .\n", "not a command that is known"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := checkShell(tc.text); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
