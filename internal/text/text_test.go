package text_test

import (
	"testing"

	"github.com/xenonmp/xme/internal/text"
)

func TestCut(t *testing.T) {
	for _, c := range []struct {
		s    string
		room int
		want string
	}{
		{"", 0, ""},
		{"abc", 3, "abc"},
		{"abc", 2, "ab"},
		{"abc", 0, ""},
		{"abc", -1, ""},
		{"aé", 2, "a"},
		{"aé", 3, "aé"},
		{"é", 1, ""},
		{"x🙂y", 4, "x"},
		{"x🙂y", 5, "x🙂"},
		{"\x80\x80\x80\x80\x80\x80\x80", 6, "\x80\x80"},
	} {
		if got := text.Cut(c.s, c.room); got != c.want {
			t.Errorf("Cut(%q, %d) is %q, want %q", c.s, c.room, got, c.want)
		}
	}
}
