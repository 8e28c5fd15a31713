package dump

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds of what Crash and Panic return.
const (
	mostBytes = 16 << 10 // some lines more
	mostHead  = 20       // lines
)

// Panic takes the stack of a goroutine as debug.Stack gives it in a deferred function, and returns it from where the
// panic, or the call of runtime.Goexit, was to the first frame of the user's own.
func Panic(stack []byte) string {
	p := parse(string(stack))
	if len(p.goroutines) == 0 {
		return strings.TrimSpace(string(stack))
	}
	g := &p.goroutines[0]
	at := slices.IndexFunc(g.frames, func(f frame) bool { n := f.name(); return n == "panic" || n == "runtime.Goexit" })
	g.frames = g.frames[at+1:]
	return g.text()
}

// Crash takes the runtime's account of a crash and returns it for a reader: what happened; the goroutine that crashed,
// or that ran the task if the program was only asked to quit; the others that run code of the user's. Frames of the
// runtime and of the engine around the user's are left out, so are registers, and goroutines alike are shown once.
func Crash(crash string) string {
	p := parse(crash)
	if len(p.goroutines) == 0 && len(p.thread) == 0 {
		return strings.TrimSpace(crash)
	}
	var b strings.Builder
	for i, line := range p.head {
		if strings.HasPrefix(line, "PC=0x") && Asked(crash) || strings.HasPrefix(line, "runtime: sp=0x") {
			continue
		}
		if i == mostHead {
			fmt.Fprintf(&b, "… (%d more lines)\n", len(p.head)-i)
			break
		}
		b.WriteString(line + "\n")
	}
	shown, alike, hidden := pick(p, Asked(crash))
	if !slices.ContainsFunc(shown, (*goroutine).isUsers) && len(p.thread) > 0 {
		b.WriteString("\nruntime stack:\n" + frames(p.thread))
	}
	for i, g := range shown {
		if b.Len() > mostBytes {
			fmt.Fprintf(&b, "\n… (%d more goroutines)\n", len(shown)-i)
			break
		}
		text := g.text()
		if n := alike[g]; n > 0 {
			header, rest, _ := strings.Cut(text, "\n")
			text = fmt.Sprintf("%s (and %d alike)\n%s", header, n, rest)
		}
		b.WriteString("\n" + text + "\n")
	}
	if hidden > 0 {
		fmt.Fprintf(&b, "\n(%d goroutines of the engine and the Go runtime left out)\n", hidden)
	}
	return strings.TrimSpace(b.String())
}

// pick chooses which goroutines to show, in which order, how many others are like each of them, and how many are
// nobody's but the engine's.
func pick(p parsed, asked bool) (shown []*goroutine, alike map[*goroutine]int, hidden int) {
	alike = map[*goroutine]int{}
	seen := map[string]*goroutine{}
	for i := range p.goroutines {
		g := &p.goroutines[i]
		crashed := i == 0 && !asked && !strings.HasPrefix(g.header, "goroutine 0 ")
		switch key := g.key(); {
		case !crashed && !g.isUsers() && !g.isTask() && !g.isElsewhere():
			hidden++
		case seen[key] != nil:
			alike[seen[key]]++
		default:
			seen[key] = g
			shown = append(shown, g)
		}
	}
	rank := func(g *goroutine) int {
		switch {
		case g == &p.goroutines[0] && !asked:
			return 0
		case g.isTask():
			return 1
		case g.isElsewhere():
			return 2
		}
		return 3
	}
	slices.SortStableFunc(shown, func(a, b *goroutine) int { return rank(a) - rank(b) })
	return shown, alike, hidden
}

// isUsers reports whether g runs code of the user's: not so the one on which main has called Init.
func (g *goroutine) isUsers() bool {
	return slices.ContainsFunc(g.frames, isUser) && !slices.ContainsFunc(g.frames, func(f frame) bool { return f.name() == module+".Init" })
}

// isTask reports whether g is the one that runs a row.
func (g *goroutine) isTask() bool {
	return slices.ContainsFunc(g.frames, func(f frame) bool { return f.name() == module+".(*invocation).run" })
}

// isElsewhere reports whether g ran on another thread, so that nothing is known of it: it may be the task's.
func (g *goroutine) isElsewhere() bool {
	return len(g.frames) == 1 && strings.HasPrefix(g.frames[0].place, "goroutine running on other thread")
}

// key is the same for goroutines that are in the same state at the same place.
func (g *goroutine) key() string {
	_, state, _ := strings.Cut(g.header, "[")
	state, _, _ = strings.Cut(strings.TrimSuffix(state, "]:"), ",") // how long differs
	var b strings.Builder
	b.WriteString(state)
	for _, f := range g.frames {
		b.WriteString("\n" + f.name() + " " + f.file())
	}
	return b.String()
}

// text prints g, without the frames that lead to the user's and those of the runtime in which they wait.
func (g *goroutine) text() string {
	list := g.frames
	if last := lastUser(list); last >= 0 {
		list = slices.DeleteFunc(slices.Clone(list[:last+1]), func(f frame) bool {
			name := f.name()
			return !isUser(f) && (isInner(name) || isEngine(name) && packageOf(name) != module)
		})
	}
	text := g.header + "\n" + frames(list)
	if g.maker != nil && isUser(*g.maker) {
		text += g.maker.call + "\n\t" + g.maker.place + "\n"
	}
	return strings.TrimRight(text, "\n")
}

func lastUser(list []frame) int {
	for i, f := range slices.Backward(list) {
		if isUser(f) {
			return i
		}
	}
	return -1
}

// frames prints frames, a run of the same ones shortened.
func frames(list []frame) string {
	var b strings.Builder
	for i := 0; i < len(list); {
		n := 1
		for i+n < len(list) && list[i+n].name() == list[i].name() && list[i+n].file() == list[i].file() {
			n++
		}
		if b.Len() > mostBytes {
			fmt.Fprintf(&b, "… (%d more frames)\n", len(list)-i)
			break
		}
		if list[i].call != "" {
			b.WriteString(list[i].call + "\n")
		}
		if list[i].place != "" {
			b.WriteString("\t" + list[i].place + "\n")
		}
		if n > 2 {
			fmt.Fprintf(&b, "… (the same %d times more)\n", n-1)
		} else if n == 2 {
			n = 1
		}
		i += n
	}
	return b.String()
}
