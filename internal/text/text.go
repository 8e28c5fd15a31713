// Package text cuts texts.
package text

import "unicode/utf8"

// Cut returns the first bytes of s, room at most, without a character that would be cut in two. What is not UTF-8 is cut anywhere.
func Cut(s string, room int) string {
	if len(s) <= room {
		return s
	}
	room = max(room, 0)
	n := room
	for n > max(room-utf8.UTFMax, 0) && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
