package dump

import (
	"slices"
	"strings"
)

// inside are the states of goroutines that wait for others of their process, and not for a clock: only who is awake can end them.
var inside = []string{"[sync.WaitGroup.Wait", "[sync.Mutex.Lock", "[sync.RWMutex.", "[sync.Cond.Wait"}

// Waits reports whether all goroutines of a stack that are the user's, because he began them or they run a function of his, are in one of
// the functions named, or wait for others of these.
func Waits(stack string, in ...string) bool {
	for _, g := range parse(stack).goroutines {
		users := g.maker != nil && isUser(*g.maker) || slices.ContainsFunc(g.frames, isUser)
		if users && !slices.ContainsFunc(g.frames, func(f frame) bool { return slices.Contains(in, f.name()) }) && !waitsForOthers(g) {
			return false
		}
	}
	return true
}

// waitsForOthers reports whether a goroutine waits for what is the user's own: a lock that the engine takes is let go without anybody's help.
func waitsForOthers(g goroutine) bool {
	if !slices.ContainsFunc(inside, func(state string) bool { return strings.Contains(g.header, state) }) {
		return false
	}
	i := slices.IndexFunc(g.frames, func(f frame) bool { return isUser(f) || isEngine(f.name()) })
	return i < 0 || isUser(g.frames[i])
}
