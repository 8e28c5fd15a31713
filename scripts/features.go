//go:build ignore

// Features writes docs/features.md: which test and which example shows each feature.
//
// It reads the rows of docs/features.tsv and looks for "// feature: S4, F8" comments: in *_test.go files in the
// comment of a Test or Fuzz function (a test) or of an Example function (an example), in the other Go files below
// examples/ anywhere (an example). Nested modules count.
// With -check it fails if the page would change.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const listFile, pageFile = "docs/features.tsv", "docs/features.md"

// A row is one feature, with what proves and what shows it.
type row struct {
	id, what        string
	tests, examples map[string]bool // links
}

func main() {
	check := flag.Bool("check", false, "fail if "+pageFile+" is not up to date")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "features: %q: no arguments; -check, or nothing to write the page\n", flag.Args())
		os.Exit(2)
	}
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "features:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	rows, err := readRows()
	if err == nil {
		err = scan(rows)
	}
	if err != nil {
		return err
	}
	page := render(rows)
	if !check {
		return os.WriteFile(pageFile, page, 0o644)
	}
	old, err := os.ReadFile(pageFile)
	if err != nil || bytes.Equal(old, page) {
		return err
	}
	return fmt.Errorf("%s is out of date, run: go run scripts/features.go\n%s", pageFile, diff(string(old), string(page)))
}

// readRows reads the list: one line per feature, its id and a tab before what it is.
func readRows() ([]*row, error) {
	text, err := os.ReadFile(listFile)
	if err != nil {
		return nil, err
	}
	var rows []*row
	for line := range strings.Lines(string(text)) {
		id, what, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || !idForm.MatchString(id) || strings.ContainsAny(what, "\t|") {
			return nil, fmt.Errorf("%s: want an id, a tab and a text in %q", listFile, line)
		}
		if find(rows, id) != nil {
			return nil, fmt.Errorf("%s: %s is there twice", listFile, id)
		}
		rows = append(rows, &row{id, what, map[string]bool{}, map[string]bool{}})
	}
	return rows, nil
}

func find(rows []*row, id string) *row {
	if i := slices.IndexFunc(rows, func(r *row) bool { return r.id == id }); i >= 0 {
		return rows[i]
	}
	return nil
}

var (
	idForm  = regexp.MustCompile(`^[A-Z]\d+$`)
	mention = regexp.MustCompile(`^//\s*feature:\s*(.*)$`)
	proof   = regexp.MustCompile(`^(Test|Example|Fuzz)`)
)

// scan walks the tree and enters every mention into its row.
func scan(rows []*row) error {
	return filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, path := d.Name(), filepath.ToSlash(path)
		if d.IsDir() && path != "." && (name[0] == '.' || name[0] == '_' || name == "testdata") {
			return fs.SkipDir
		}
		isTest := strings.HasSuffix(name, "_test.go")
		if !isTest && (!strings.HasPrefix(path, "examples/") || filepath.Ext(name) != ".go") {
			return nil
		}
		return scanFile(rows, path, isTest)
	})
}

func scanFile(rows []*row, path string, isTest bool) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	owners := map[*ast.CommentGroup]string{}
	for _, decl := range file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Doc != nil && fn.Recv == nil && proof.MatchString(fn.Name.Name) {
			owners[fn.Doc] = fn.Name.Name
		}
	}
	for _, group := range file.Comments {
		for _, c := range group.List {
			m := mention.FindStringSubmatch(c.Text)
			if m == nil {
				continue
			}
			name, owned := owners[group]
			if isTest && !owned {
				return fmt.Errorf("%s: a feature is named directly above a Test, Example or Fuzz function", fset.Position(c.Pos()))
			}
			if !isTest {
				name = strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "examples/")
			}
			link := fmt.Sprintf("[%s](../%s)", name, path)
			for id := range strings.SplitSeq(m[1], ",") {
				r := find(rows, strings.TrimSpace(id))
				if r == nil {
					return fmt.Errorf("%s: %s has no feature %q", fset.Position(c.Pos()), listFile, strings.TrimSpace(id))
				}
				if isTest && !strings.HasPrefix(name, "Example") {
					r.tests[link] = true
				} else {
					r.examples[link] = true
				}
			}
		}
	}
	return nil
}

// state of a row: a feature wants a test and an example, a fault of the original only a test.
func (r *row) state() string {
	tested, shown := len(r.tests) > 0, len(r.examples) > 0 || r.id[0] == 'F'
	switch {
	case tested && shown:
		return "done"
	case tested:
		return "test only"
	case len(r.examples) > 0:
		return "example only"
	}
	return "–"
}

func render(rows []*row) []byte {
	var done int
	var table, page bytes.Buffer
	cell := func(links map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(links)), "<br>") }
	for _, r := range rows {
		if r.state() == "done" {
			done++
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", r.id, r.what, cell(r.tests), cell(r.examples), r.state())
	}
	fmt.Fprintf(&page, "# Features\n\nWritten by `go run scripts/features.go` from the `// feature:` comments; do not edit.\n"+
		"F rows are faults of the original, each kept away by a test.\n\n%d of %d rows are done.\n\n"+
		"| id | what | tests | examples | state |\n|---|---|---|---|---|\n%s", done, len(rows), table.Bytes())
	return page.Bytes()
}

// diff lists the lines that go and the lines that come.
func diff(old, page string) string {
	var b strings.Builder
	only := func(mark, these, those string) {
		for line := range strings.Lines(these) {
			if !strings.Contains("\n"+those, "\n"+line) {
				b.WriteString(mark + line)
			}
		}
	}
	only("-", old, page)
	only("+", page, old)
	return b.String()
}
