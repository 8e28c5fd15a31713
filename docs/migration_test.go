package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every Go program of the pages for those who come from elsewhere is compiled and run, and prints what the page shows; so do
// Python's where there is Python, and of those that need more than Python the form is checked. That each name of the Python
// library has a row, and each link leads somewhere, is checked by scripts/migration.
//
// feature: U6
func TestMigrationPages(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join("docs", "migrating", "from-*.md"))
	if err != nil || len(pages) != 4 {
		t.Fatalf("pages: %v %v", pages, err)
	}
	mod := guideModule(t)
	for _, file := range pages {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".md"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rest, programs := cutPython(string(text))
			page, err := readGuide(rest)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			for _, p := range programs {
				checkPython(t, file, p)
			}
			checkPrograms(t, file, page.programs, mod)
		})
	}
}

// A pythonProgram is a block of a page, with what it prints if that is shown.
type pythonProgram struct {
	source, output string
	shown          bool
}

var pythonBlock = regexp.MustCompile("(?s)```python\n(.*?)```\n(?:\n```text\n\\$ python3 app.py\n(.*?)```\n)?")

// cutPython returns a page without its Python, line for line, and that.
func cutPython(text string) (rest string, programs []pythonProgram) {
	for _, m := range pythonBlock.FindAllStringSubmatchIndex(text, -1) {
		p := pythonProgram{source: text[m[2]:m[3]], shown: m[4] >= 0}
		if p.shown {
			p.output = text[m[4]:m[5]]
		}
		programs = append(programs, p)
	}
	rest = pythonBlock.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) })
	return rest, programs
}

func checkPython(t *testing.T, file string, p pythonProgram) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil || exec.CommandContext(t.Context(), python, "-c", "import ast, concurrent.futures, multiprocessing").Run() != nil {
		t.Logf("no Python here: its programs are not looked at")
		return
	}
	dir := t.TempDir()
	app := filepath.Join(dir, "app.py")
	if err := os.WriteFile(app, []byte(p.source), 0o644); err != nil {
		t.Fatal(err)
	}
	if !p.shown {
		if out, err := guideRunIn(t, dir, nil, python, "-c", "import ast; ast.parse(open('app.py').read())"); err != nil {
			t.Errorf("%s: not Python: %v\n%s\n%s", file, err, p.source, out)
		}
		return
	}
	out, err := guideRunIn(t, dir, nil, python, "app.py")
	if err != nil {
		t.Errorf("%s: python3: %v\n%s", file, err, out)
	}
	if fault := matchOutput(p.output, out); fault != "" {
		t.Errorf("%s: python3: %s; it printed:\n%s", file, fault, out)
	}
}
