package docs_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A guidePage is what a Markdown file holds to be checked.
type guidePage struct {
	programs []*guideProgram
	shells   []guideBlock // sh blocks
	links    []string     // to files
}

// A guideProgram is made of go blocks: one that begins with a package clause, and all that follow up to the next.
type guideProgram struct {
	line   int // of its first block
	source string
	runs   []guideRun // none: it is run, and has to succeed
}

// test reports whether it is run by go test.
func (p *guideProgram) test() bool {
	return regexp.MustCompile(`(?m)^func Test`).MatchString(p.source)
}

// A guideRun is a text block that shows what is printed.
type guideRun struct {
	line   int // of the block
	env    []string
	args   []string
	output string
}

// A guideBlock is a fenced block.
type guideBlock struct {
	line       int // of its fence
	kind, text string
}

// readGuide takes a page apart. The error names the line that cannot be right.
func readGuide(text string) (*guidePage, error) {
	blocks, prose, err := fenced(text)
	if err != nil {
		return nil, err
	}
	p := &guidePage{}
	for _, b := range blocks {
		var last *guideProgram
		if n := len(p.programs); n > 0 {
			last = p.programs[n-1]
		}
		switch {
		case b.kind == "go" && strings.HasPrefix(b.text, "package "):
			p.programs = append(p.programs, &guideProgram{line: b.line, source: b.text})
		case b.kind == "go" && last == nil:
			return nil, fmt.Errorf("line %d: this go block is in no program: none above begins with a package clause", b.line)
		case b.kind == "go":
			last.source += "\n" + b.text
		case b.kind == "sh":
			p.shells = append(p.shells, b)
		case b.kind == "text" && strings.HasPrefix(b.text, "$"):
			run, err := readRun(b, last)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", b.line, err)
			}
			last.runs = append(last.runs, run)
		case b.kind == "text":
		default:
			return nil, fmt.Errorf("line %d: a block of kind %q: write go, sh, or text", b.line, b.kind)
		}
	}
	if len(p.programs)+len(p.shells) == 0 {
		return nil, fmt.Errorf("no block is here to be checked")
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`).FindAllStringSubmatch(prose, -1) {
		if !strings.Contains(m[1], "://") {
			p.links = append(p.links, m[1])
		}
	}
	return p, nil
}

// fenced returns the fenced blocks of a page, and what is outside of them.
func fenced(text string) (blocks []guideBlock, prose string, err error) {
	var b *guideBlock
	var outside strings.Builder
	n := 0
	for line := range strings.Lines(text) {
		n++
		kind, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && b == nil:
			b = &guideBlock{line: n, kind: strings.TrimSpace(kind)}
		case fence:
			blocks = append(blocks, *b)
			b = nil
		case b != nil:
			b.text += line
		default:
			outside.WriteString(line)
		}
	}
	if b != nil {
		return nil, "", fmt.Errorf("line %d: the block has no end", b.line)
	}
	return blocks, outside.String(), nil
}

// readRun reads a block of what program p prints: "$ KEY=value go run . flags", then its output.
func readRun(b guideBlock, p *guideProgram) (guideRun, error) {
	first, output, _ := strings.Cut(b.text, "\n")
	words := strings.Fields(strings.TrimPrefix(first, "$"))
	r := guideRun{line: b.line, output: output}
	for len(words) > 0 && strings.Contains(words[0], "=") {
		r.env, words = append(r.env, words[0]), words[1:]
	}
	rest := strings.Join(words, " ")
	switch {
	case p == nil:
		return r, fmt.Errorf("%q stands below no program", first)
	case !p.test() && (rest == "go run ." || strings.HasPrefix(rest, "go run . ")):
		r.args = words[3:]
	case p.test() && (rest == "go test" || strings.HasPrefix(rest, "go test ")):
		r.args = words[2:]
	default:
		return r, fmt.Errorf("%q is not how the program above is run", first)
	}
	return r, nil
}

// matchOutput says where what was printed differs from what a page shows, or nothing. In what it shows, … stands for
// any text of a line, and a line of … alone for any lines.
func matchOutput(shown, printed string) string {
	want, got := outputLines(shown), outputLines(printed)
	// reach holds how many lines of got the lines of want so far may stand for.
	reach := map[int]bool{0: true}
	for i, w := range want {
		next := map[int]bool{}
		if strings.TrimSpace(w) == "…" {
			for n := slices.Min(slicesOf(reach)); n <= len(got); n++ {
				next[n] = true
			}
		} else {
			parts := strings.Split(w, "…")
			for k := range parts {
				parts[k] = regexp.QuoteMeta(parts[k])
			}
			line := regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
			for n := range reach {
				if n < len(got) && line.MatchString(got[n]) {
					next[n+1] = true
				}
			}
		}
		if len(next) == 0 {
			at, what := slices.Min(slicesOf(reach)), "the end"
			if at < len(got) {
				what = fmt.Sprintf("%q", got[at])
			}
			return fmt.Sprintf("line %d: shown %q, printed %s", i+1, w, what)
		}
		reach = next
	}
	if !reach[len(got)] {
		return fmt.Sprintf("printed beyond what is shown: %q", got[slices.Max(slicesOf(reach))])
	}
	return ""
}

func slicesOf(set map[int]bool) []int {
	var all []int
	for n := range set {
		all = append(all, n)
	}
	return all
}

// outputLines splits into lines; how the text ends does not count.
func outputLines(text string) []string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\r")
	}
	return lines
}
