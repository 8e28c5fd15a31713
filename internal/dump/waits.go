package dump

import "slices"

// Waits reports whether all goroutines of a stack that are the user's, because he began them or they run a function of his, are in one of
// the functions named.
func Waits(stack string, in ...string) bool {
	for _, g := range parse(stack).goroutines {
		users := g.maker != nil && isUser(*g.maker) || slices.ContainsFunc(g.frames, isUser)
		if users && !slices.ContainsFunc(g.frames, func(f frame) bool { return slices.Contains(in, f.name()) }) {
			return false
		}
	}
	return true
}
