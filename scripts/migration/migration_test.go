package main

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// Every public name of the Python library has a row, and every link and Go name of the documentation leads somewhere.
//
// feature: U6
func TestRepository(t *testing.T) {
	t.Parallel()
	faults, err := checkAll(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
	// What was checked is there: of each kind some.
	pages, links, names := 0, 0, 0
	err = fs.WalkDir(os.DirFS("../.."), "docs", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".md") {
			return err
		}
		text, err := os.ReadFile("../../" + name)
		p := readPage(name, string(text))
		pages, links = pages+1, links+len(p.links)
		for _, s := range p.spans {
			names += len(selector.FindAllString(s.text, -1))
		}
		return err
	})
	if err != nil || pages < 40 || links < 500 || names < 400 {
		t.Errorf("%d pages, %d links, %d Go names, %v", pages, links, names, err)
	}
}

const code = `package xme

type Pool struct{ base }
type base struct{ Size int }
type Func[In, Out any] struct{}
type Alias = base

func (f *Func[In, Out]) Call() {}
func (p *Pool) Close() error { return nil }
func Open() {}
var ErrClosed error
`

// Pages that lead nowhere are found, with their lines.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		page string
		want string // a part of the only fault; empty: none
	}{
		"a file":                   {"[a](other.md)", ""},
		"a folder":                 {"[a](../docs)", ""},
		"a heading":                {"[a](other.md#two-words-2)", ""},
		"the second of one text":   {"[a](other.md#again-1)", ""},
		"a heading of its own":     {"# Here\n[a](#here)", ""},
		"a place":                  {"<a id=\"x\"></a>\n[a](#x)", ""},
		"elsewhere":                {"[a](https://example.com/x#y)", ""},
		"this repository":          {"[a](https://github.com/xenonmp/xme/blob/main/docs/other.md#again)", ""},
		"code is no link":          {"`f[0](x.md)`", ""},
		"a block is no text":       {"```go\n[a](x.md) `xme.Nothing`\n```", ""},
		"a longer block":           {"````md\n```go\n[a](x.md)\n```\n[a](x.md)\n````", ""},
		"another mark":             {"~~~ `a`\n```\n[a](x.md)\n~~~~ \n", ""},
		"no block":                 {"```[a](x.md)```", ""},
		"behind a longer block":    {"````\n```\n````\n[a](x.md)", "docs/page.md:4: the link x.md"},
		"no end of a block":        {"\n```go\n[a](x.md)\n``` go\n~~~\n", "docs/page.md:2: nothing ends this block of code"},
		"no end of a longer block": {"````\n```\n", "docs/page.md:1: nothing ends"},
		"a line of a file":         {"[a](../pool.go#L3)", ""},
		"names":                    {"`xme.Open()`, `*xme.Pool`, `xme.Pool.Close`, `xme.Func[int, int].Call`, `xme.Pool.Size`, `xme.ErrClosed.Error`, `xme.Alias.Size`", ""},
		"another's name":           {"`slog.Nothing`, `other/xme.Nothing`, `github.com/xenonmp/xme.Nothing`", ""},
		"no file":                  {"\n[a](x.md)", "docs/page.md:2: the link x.md: there is no such file"},
		"no file by a note":        {"[a]: x.md", "there is no such file"},
		"no image":                 {"![a](x.png)", "there is no such file"},
		"no heading":               {"[a](other.md#three)", "there is no such heading"},
		"no heading of its own":    {"[a](#three)", "there is no such heading"},
		"no third of one text":     {"[a](other.md#again-2)", "there is no such heading"},
		"a heading of no page":     {"[a](../docs#three)", ""},
		"this repository, no file": {"[a](https://github.com/xenonmp/xme/blob/main/x.md)", "there is no such file"},
		"out of it":                {"[a](../../x.md)", "out of the repository"},
		"from the root":            {"[a](/docs/other.md)", "relative"},
		"no name":                  {"`xme.Nothing`", "docs/page.md:1: there is no xme.Nothing"},
		"no member":                {"`xme.Pool.Nothing`", "there is no xme.Pool.Nothing"},
		"a name within code":       {"`f(ctx, xme.Nothing(1))`", "there is no xme.Nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults, err := checkPages(fstest.MapFS{
				"pool.go":       {Data: []byte(code)},
				"docs/page.md":  {Data: []byte(tc.page)},
				"docs/other.md": {Data: []byte("# Two words: (2)\n# Again\n# `Again`\n")},
			})
			switch {
			case err != nil:
				t.Fatal(err)
			case tc.want == "" && len(faults) > 0, tc.want != "" && len(faults) != 1:
				t.Errorf("faults %q, want %q", faults, tc.want)
			case tc.want != "" && !strings.Contains(faults[0], tc.want):
				t.Errorf("fault %q, want %q", faults[0], tc.want)
			}
		})
	}
}

// A name that lacks its row is found, also if another section has it.
func TestRows(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		table string
		want  []string
	}{
		"all":             {"## 1.1 A\n| a | b | c | d |\n|---|---|---|---|\n| `XME.XME(f)`, `get` | x | [g](g.md) | |\n", nil},
		"elsewhere":       {"## 1.2 A\n|---|---|---|---|\n| `XME.XME(f)`, `get` | x | [g](g.md) | |\n", []string{"no row below the heading 1.1 has `XME.XME`", "`get`"}},
		"a part only":     {"## 1.1 A\n|---|---|---|---|\n| `XME.XMEs`, `get_msg` | x | [g](g.md) | |\n", []string{"`XME.XME`", "`get`"}},
		"not as code":     {"## 1.1 A\n|---|---|---|---|\n| XME.XME, `get` | x | [g](g.md) | |\n", []string{"`XME.XME`"}},
		"in a later cell": {"## 1.1 A\n|---|---|---|---|\n| `get` | `XME.XME` | [g](g.md) | |\n", []string{"`XME.XME`"}},
		"no link":         {"## 1.1 A\n|---|---|---|---|\n| `XME.XME`, `get` | x | g | |\n", []string{"from-xme.md:3: the third cell has no link"}},
		"a cell missing":  {"## 1.1 A\n|---|---|---|\n| `XME.XME`, `get` | x | [g](g.md) |\n", []string{"3 cells, want 4"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults, err := checkRows(fstest.MapFS{
				namesFile: {Data: []byte("# Names\n1.1\tXME.XME\n1.1\tget\n")},
				tableFile: {Data: []byte(tc.table)},
			})
			if err != nil || len(faults) != len(tc.want) {
				t.Fatalf("faults %q, %v, want %q", faults, err, tc.want)
			}
			for i, w := range tc.want {
				if !strings.Contains(faults[i], w) {
					t.Errorf("fault %q, want %q", faults[i], w)
				}
			}
		})
	}
}

// Names are taken from where they are defined, else from where they are used first, and a word that nothing accounts for is an error.
func TestNames(t *testing.T) {
	t.Parallel()
	const text = "# 1 One\nUse XME.Go here.\n## 1.1 More\n```python\nget(*keys,Wait=0) #waits\nxme.Go()\n```\n# 2 Two\n```python\nget(Wait) #another\nif(x): #no name\n" +
		"'''\nsize: the size of it, in prose\n'''\n```\n**Note: In XME<4.0, class Go: XME.Old**\n"
	list, err := namesOf(text)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range list {
		got = append(got, n.section+" "+n.text)
	}
	want := []string{"1 XME.Go", "1.1 Go", "1.1 Wait", "1.1 get", "1.1 keys", "2 Wait", "2 XME.Old", "2 get", "2 size"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if back, err := readNames(string(renderNames(list))); err != nil || len(back) != len(list) || back[1].text != "Go" {
		t.Errorf("read back: %v %v", back, err)
	}
	if _, err := namesOf("# 1 One\n```python\nunheard_of(1)\n```\n"); err == nil || !strings.Contains(err.Error(), "1 unheard_of") {
		t.Errorf("an unknown word: %v", err)
	}
}
