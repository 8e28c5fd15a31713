package dump

import (
	"regexp"
	"strings"
	"sync"
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
	other      []string // what was written meanwhile, to another stream
}

var (
	headLine    = lazily(`^(\t|\[|panic|fatal|runtime:|unexpected |SIG[A-Z0-9]+: |PC=|signal arrived|goroutine |checkptr: )`)
	headerLine  = lazily(`^goroutine \d+ .*\[.*\]:$`)
	headerNoise = lazily(` (gp|m|mp)=\S+`)
	placeNoise  = lazily(` (fp|sp|pc)=\S+`)
	register    = lazily(`^(r[a-z0-9]+|[c-g]s|x\d+|lr|sp|pc|pstate|fault) +0x[0-9a-f]+$`)
)

// lazily compiles a pattern when it is first used: every worker has this package, and few need it.
func lazily(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// parse reads a dump.
func parse(text string) (p parsed) {
	var into *[]frame // where frames go; nil: the head
	call := ""        // a frame whose place is still to come
	plain := true     // no raw memory is printed, as it is of a thread's own stack
	foreign := func(line string) {
		if plain {
			p.other = append(p.other, line)
		}
	}
	flush := func() {
		if call != "" {
			foreign(call) // a call has a place
		}
		call = ""
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case headerLine().MatchString(line):
			flush()
			p.goroutines = append(p.goroutines, goroutine{header: headerNoise().ReplaceAllString(line, "")})
			into = &p.goroutines[len(p.goroutines)-1].frames
			plain = !strings.HasPrefix(line, "goroutine 0 ")
		case line == "runtime stack:":
			flush()
			into, plain = &p.thread, false
		case line == "":
			flush()
		case into == nil && headLine().MatchString(line):
			p.head = append(p.head, line)
		case into == nil:
			foreign(line)
		case register().MatchString(line):
			flush()
		case strings.HasPrefix(line, "\t"):
			f := frame{call, placeNoise().ReplaceAllString(strings.TrimSpace(line), "")}
			call = ""
			if n := len(p.goroutines); strings.HasPrefix(f.call, "created by ") && n > 0 {
				p.goroutines[n-1].maker = &f
				continue
			}
			*into = append(*into, f)
		case strings.HasPrefix(line, "..."), strings.HasPrefix(line, "…"): // frames elided
			flush()
			*into = append(*into, frame{call: line})
		case strings.HasSuffix(line, ")"), strings.HasPrefix(line, "created by "), line == "non-Go function":
			flush()
			call = line
		default:
			foreign(line)
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
