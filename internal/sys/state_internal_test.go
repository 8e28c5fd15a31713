//go:build linux

package sys

import "testing"

func TestStateOf(t *testing.T) {
	t.Parallel()
	for stat, want := range map[string]byte{
		"7 (xme) R 1 7 7 0":         'R',
		"7 (a b) T 1 7 7 0":         'T',
		"7 (x) T (y) S 1 7 7 0":     'S',
		"7 (\n) T 1) t 1 7 7 0":     't',
		"7 ()) Z 1 7":               'Z',
		"7 (xme":                    0,
		"7 (xme)":                   0,
		"7 (xme) ":                  0,
		"":                          0,
		"7 (xme)T 1 7 7 0 0 0 0 0 ": 0,
	} {
		if got, err := stateOf([]byte(stat)); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %q, %v; want %q", stat, got, err, want)
		}
	}
}
