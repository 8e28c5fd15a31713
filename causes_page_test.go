package xme_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
)

// page is docs/causes.md, and its headings as they are linked to.
func page(t *testing.T) (text string, anchors []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("docs", "causes.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^##+ (.+)$`).FindAllStringSubmatch(string(b), -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors = append(anchors, strings.ReplaceAll(anchor, " ", "-"))
	}
	return string(b), anchors
}

const helpPage = "https://github.com/xenonmp/xme/blob/main/docs/causes.md"

// Every cause has a section, and every section that an error names is there, also in the blocks of the golden files.
//
// feature: S12
func TestHelpIsThere(t *testing.T) {
	t.Parallel()
	text, anchors := page(t)
	causes, named := 0, map[string]bool{}
	for c := xme.Cause(1); !strings.HasPrefix(c.String(), "cause "); c++ {
		causes++
		if anchor, ok := strings.CutPrefix(c.Help(), helpPage+"#"); !ok || !slices.Contains(anchors, anchor) {
			t.Errorf("%v: %s is no section", c, c.Help())
		} else {
			named[anchor] = true
		}
		if e := (&xme.Error{Cause: c}); e.Help() != c.Help() {
			t.Errorf("an error of cause %v names %s", c, e.Help())
		}
	}
	if causes != 12 || xme.Cause(0).Help() != helpPage || xme.Cause(99).Help() != helpPage {
		t.Errorf("%d causes", causes)
	}
	for _, block := range goldenFiles(t) {
		for _, m := range regexp.MustCompile(regexp.QuoteMeta(helpPage)+`#(\S+)`).FindAllStringSubmatch(block, -1) {
			named[m[1]] = true
		}
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains(anchors, m[1]) {
			t.Errorf("the page links to #%s, which is no section", m[1])
		}
	}
	for anchor := range named {
		if !slices.Contains(anchors, anchor) {
			t.Errorf("an error names #%s, which is no section", anchor)
		}
	}
	for _, anchor := range anchors { // and each is named by an error that some test made
		if anchor != "how-to-read-one" && anchor != "json" && !named[anchor] {
			t.Errorf("no error names the section #%s", anchor)
		}
	}
	if slices.Sort(anchors); len(slices.Compact(anchors)) != len(anchors) {
		t.Errorf("headings alike: %v", anchors)
	}
}

// goldenFiles returns the golden blocks by name.
func goldenFiles(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".txt")] = string(b)
	}
	return all
}

// The blocks that the page shows are the engine's own.
//
// feature: S12
func TestPageShowsWhatIsPrinted(t *testing.T) {
	t.Parallel()
	text, _ := page(t)
	blocks := goldenFiles(t)
	shown := regexp.MustCompile("(?s)<!-- golden: (\\S+) -->\n```text\n(.*?)\n```\n").FindAllStringSubmatch(text, -1)
	if n := strings.Count(text, "```text"); n != len(shown) || n < 15 {
		t.Errorf("%d of %d blocks name their golden file", len(shown), n)
	}
	for _, m := range shown {
		name, block := m[1], strings.ReplaceAll(m[2], "/src/", "ROOT/")
		block = steady(t, block)
		want := regexp.MustCompile(`rank \d+, pid`).ReplaceAllString(blocks[name], "rank R, pid")
		want = strings.ReplaceAll(want, "rank N, pid", "rank R, pid")
		got := regexp.MustCompile(`rank \d+, pid`).ReplaceAllString(block, "rank R, pid")
		if !strings.Contains(want, got+"\n") {
			t.Errorf("not in testdata/golden/%s.txt:\n%s", name, got)
		}
	}
}
