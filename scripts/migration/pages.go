package main

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode"
)

// here is where links that begin with an address find this repository.
const here = "https://github.com/xenonmp/xme/blob/main/"

// A page is one Markdown file.
type page struct {
	name    string
	links   []mention
	spans   []mention // of code, within a line
	anchors map[string]bool
	open    int // the line of a block of code that nothing ends; 0: there is none
}

type mention struct {
	line int
	text string
}

// checkPages says what the Markdown files below root mention that is not there: files, headings, Go names of this module.
func checkPages(root fs.FS) ([]string, error) {
	pages := map[string]*page{}
	var names []string
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.ContainsAny(d.Name()[:1], "._") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".md":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err == nil {
			pages[name] = readPage(name, string(text))
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	symbols, err := readSymbols(root)
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, name := range names {
		p := pages[name]
		if p.open > 0 {
			faults = append(faults, fmt.Sprintf("%s:%d: nothing ends this block of code", name, p.open))
		}
		for _, l := range p.links {
			if fault := checkLink(root, pages, p, l.text); fault != "" {
				faults = append(faults, fmt.Sprintf("%s:%d: the link %s: %s", name, l.line, l.text, fault))
			}
		}
		for _, s := range p.spans {
			for _, fault := range symbols.missing(s.text) {
				faults = append(faults, fmt.Sprintf("%s:%d: there is no %s", name, s.line, fault))
			}
		}
	}
	return faults, nil
}

// checkLink says where a link of a page does not lead, or nothing.
func checkLink(root fs.FS, pages map[string]*page, p *page, link string) string {
	file, anchor, hasAnchor := strings.Cut(link, "#")
	switch local, own := strings.CutPrefix(file, here); {
	case own:
		file = local
	case strings.Contains(file, "://") || strings.HasPrefix(file, "mailto:"):
		return ""
	case file == "":
		file = p.name
	case strings.HasPrefix(file, "/"):
		return "write it relative to this page"
	default:
		file = path.Join(path.Dir(p.name), file)
	}
	if strings.HasPrefix(file, "..") {
		return "it leads out of the repository"
	}
	if _, err := fs.Stat(root, file); err != nil {
		return "there is no such file"
	}
	if !hasAnchor || path.Ext(file) != ".md" {
		return ""
	}
	if to := pages[file]; to == nil || !to.anchors[anchor] {
		return "there is no such heading"
	}
	return ""
}

var (
	fence    = regexp.MustCompile("^\\s*(```+[^`]*|~~~+.*)$")
	codeSpan = regexp.MustCompile("`+([^`]+)`+")
	linkForm = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)`)
	linkNote = regexp.MustCompile(`^\s*\[[^\]]+\]:\s+(\S+)`)
	title1   = regexp.MustCompile(`^ {0,3}#{1,6}\s+(.*?)\s*#*$`)
	anchorID = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
)

func readPage(name, text string) *page {
	p := &page{name: name, anchors: map[string]bool{}}
	begun, n := "", 0 // the marks that the block of code began with, if this is one
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if begun != "" {
			if end := strings.TrimSpace(line); len(end) >= len(begun) && strings.Trim(end, begun[:1]) == "" {
				begun, p.open = "", 0
			}
			continue
		}
		if m := fence.FindStringSubmatch(line); m != nil {
			begun, p.open = m[1][:len(m[1])-len(strings.TrimLeft(m[1], m[1][:1]))], n
			continue
		}
		for _, s := range codeSpans(line) {
			p.spans = append(p.spans, mention{n, s})
		}
		for _, l := range markdownLinks(line) {
			p.links = append(p.links, mention{n, l})
		}
		for _, m := range anchorID.FindAllStringSubmatch(line, -1) {
			p.anchors[m[1]] = true
		}
		if m := title1.FindStringSubmatch(line); m != nil {
			id := slug(m[1])
			for i := 0; p.anchors[id]; i++ { // a second heading of the same text
				id = fmt.Sprintf("%s-%d", slug(m[1]), i+1)
			}
			p.anchors[id] = true
		}
	}
	return p
}

// codeSpans returns the pieces of code in a line of text.
func codeSpans(line string) []string {
	var all []string
	for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
		all = append(all, m[1])
	}
	return all
}

// markdownLinks returns where the links in a line of text lead; what looks like a link within code is none.
func markdownLinks(line string) []string {
	var all []string
	line = codeSpan.ReplaceAllString(line, "`")
	for _, m := range linkForm.FindAllStringSubmatch(line, -1) {
		all = append(all, m[1])
	}
	if m := linkNote.FindStringSubmatch(line); m != nil {
		all = append(all, m[1])
	}
	return all
}

// slug is the anchor that GitHub gives a heading.
func slug(heading string) string {
	heading = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(heading, "$1")
	var b strings.Builder
	for _, r := range strings.ToLower(strings.ReplaceAll(heading, "`", "")) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}
