package dump

import (
	"regexp"
	"strings"
)

// A goroutine is one of a dump's.
type goroutine struct {
	header string // "goroutine 7 [running]:"
	frames []frame
	maker  *frame // what started it
}

// A frame is a call and its place, or one line that is neither.
type frame struct{ call, place string }

// parsed is a dump in its parts; registers are none.
type parsed struct {
	head       []string // what happened; no empty lines
	thread     []frame  // of the thread, without a goroutine
	goroutines []goroutine
}

var (
	headerLine  = regexp.MustCompile(`^goroutine \d+ .*\[.*\]:$`)
	headerNoise = regexp.MustCompile(` (gp|m|mp)=\S+`)
	placeNoise  = regexp.MustCompile(` (fp|sp|pc)=\S+`)
	register    = regexp.MustCompile(`^(r[a-z0-9]+|[c-g]s|x\d+|lr|sp|pc|pstate|fault) +0x[0-9a-f]+$`)
)

// parse reads a dump.
func parse(text string) (p parsed) {
	var into *[]frame // where frames go; nil: the head
	call := ""        // a frame whose place is still to come
	flush := func() {
		if call != "" && into != nil {
			*into = append(*into, frame{call: call})
		}
		call = ""
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case headerLine.MatchString(line):
			flush()
			p.goroutines = append(p.goroutines, goroutine{header: headerNoise.ReplaceAllString(line, "")})
			into = &p.goroutines[len(p.goroutines)-1].frames
		case line == "runtime stack:":
			flush()
			into = &p.thread
		case line == "":
			flush()
		case into == nil:
			p.head = append(p.head, line)
		case register.MatchString(line):
			flush()
		case strings.HasPrefix(line, "\t"):
			f := frame{call, placeNoise.ReplaceAllString(strings.TrimSpace(line), "")}
			call = ""
			if n := len(p.goroutines); strings.HasPrefix(f.call, "created by ") && n > 0 {
				p.goroutines[n-1].maker = &f
				continue
			}
			*into = append(*into, f)
		default:
			flush()
			call = line
		}
	}
	flush()
	return p
}

// name returns the function of the call: "main.(*T).f" of "main.(*T).f(0x1, {…})".
func (f frame) name() string {
	name, _, _ := strings.Cut(strings.TrimPrefix(f.call, "created by "), " in goroutine ")
	if strings.HasPrefix(f.call, "created by ") {
		return name
	}
	if i := strings.LastIndexByte(name, '('); i > 0 {
		name = name[:i]
	}
	return name
}

// file returns the file and line of the place, which is "/src/main.go:12 +0x28".
func (f frame) file() string {
	file, _, _ := strings.Cut(f.place, " +0x")
	return file
}
