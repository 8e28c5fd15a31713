package main

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// A row is one of the migration table's.
type row struct {
	section string
	line    int
	cells   []string
}

var (
	tableHeading = regexp.MustCompile(`^#{2,3} (\d+(?:\.\d+)*) `)
	ruler        = regexp.MustCompile(`^\|[-|: ]+\|$`)
)

// checkRows says which names have no row below the heading of their section, and which rows lead nowhere.
func checkRows(root fs.FS) ([]string, error) {
	text, err := fs.ReadFile(root, namesFile)
	if err != nil {
		return nil, err
	}
	names, err := readNames(string(text))
	if err != nil {
		return nil, err
	}
	table, err := fs.ReadFile(root, tableFile)
	if err != nil {
		return nil, err
	}
	rows := readRows(string(table))
	var faults []string
	for _, n := range names {
		if !hasRow(rows, n) {
			faults = append(faults, fmt.Sprintf("%s: no row below the heading %s has `%s` in its first cell", tableFile, n.section, n.text))
		}
	}
	for _, r := range rows {
		switch {
		case len(r.cells) != 4:
			faults = append(faults, fmt.Sprintf("%s:%d: %d cells, want 4: there, here, more, what differs", tableFile, r.line, len(r.cells)))
		case len(markdownLinks(r.cells[2])) == 0:
			faults = append(faults, fmt.Sprintf("%s:%d: the third cell has no link", tableFile, r.line))
		}
	}
	return faults, nil
}

func hasRow(rows []row, n name) bool {
	for _, r := range rows {
		if r.section != n.section {
			continue
		}
		for _, span := range codeSpans(r.cells[0]) {
			if mentions(span, n.text) {
				return true
			}
		}
	}
	return false
}

// mentions reports whether a piece of code has a name in it that is not a part of a longer word.
func mentions(code, name string) bool {
	for at := 0; ; {
		i := strings.Index(code[at:], name)
		if i < 0 {
			return false
		}
		begin, end := at+i, at+i+len(name)
		if (begin == 0 || !isWord(code[begin-1])) && (end == len(code) || !isWord(code[end]) || !isWord(name[len(name)-1])) {
			return true
		}
		at = begin + 1
	}
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// readRows returns the rows of the tables that stand below numbered headings.
func readRows(text string) []row {
	var rows []row
	section, inTable, n := "", false, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		switch m := tableHeading.FindStringSubmatch(line); {
		case m != nil:
			section, inTable = m[1], false
		case strings.HasPrefix(line, "#"):
			section, inTable = "", false
		case ruler.MatchString(line):
			inTable = section != ""
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case inTable:
			cells := strings.Split(strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], "\x00", "|"))
			}
			rows = append(rows, row{section, n, cells})
		}
	}
	return rows
}
