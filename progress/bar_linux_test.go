package progress_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/progress"
)

// openTerminal returns both ends of a pseudo-terminal of so many columns.
func openTerminal(t *testing.T, columns uint16) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals: ", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Skip("no pseudo-terminals: ", err)
	}
	return master, terminal
}

// onTerminal returns what use leaves on the screen of a terminal, line by line, and all that was written.
func onTerminal(t *testing.T, columns uint16, use func(bar *progress.Bar)) (screen []string, raw string) {
	t.Helper()
	master, terminal := openTerminal(t, columns)
	all := make(chan []byte)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, master) // until the terminal is closed, which is an error here
		all <- b.Bytes()
	}()
	bar := progress.New(terminal, progress.Options{Name: "rows"})
	use(bar)
	if err := bar.Close(); err != nil {
		t.Error(err)
	}
	_ = terminal.Close()
	raw = string(<-all)
	return screenOf(t, raw), raw
}

// screenOf is a terminal that knows what a bar uses: up, erase below, new line.
func screenOf(t *testing.T, s string) (screen []string) {
	t.Helper()
	line := 0
	for s != "" {
		var up int
		if line == len(screen) {
			screen = append(screen, "")
		}
		switch {
		case strings.HasPrefix(s, "\r\n"):
			line++
			s = s[2:]
		case strings.HasPrefix(s, "\x1b[J"):
			screen = append(screen[:line], "")
			s = s[3:]
		case strings.HasPrefix(s, "\x1b["):
			if _, err := fmt.Sscanf(s, "\x1b[%dA", &up); err != nil {
				t.Fatalf("a control sequence that no bar needs: %.20q", s)
			}
			line -= up
			_, s, _ = strings.Cut(s, "A")
		default:
			screen[line] += s[:1]
			s = s[1:]
		}
	}
	for len(screen) > 0 && screen[len(screen)-1] == "" {
		screen = screen[:len(screen)-1]
	}
	return screen
}

// On a terminal the bar is drawn over itself, lines that others write stand above it, and it stays at the end.
//
// feature: S3, L3
func TestTerminal(t *testing.T) {
	for name, columns := range map[string]uint16{"wide": 80, "narrow": 24} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TERM", "xterm")
			screen, raw := onTerminal(t, columns, func(bar *progress.Bar) {
				for i := range 10 {
					bar.Hook(xme.Progress{Run: 1, Total: 10, Done: i, Rate: 10, Left: time.Second})
					if _, err := fmt.Fprintf(bar, "line %d\n", i); err != nil {
						t.Error(err)
					}
				}
				bar.Hook(xme.Progress{Run: 1, Total: 10, Done: 9, Failed: 1, Over: true, Elapsed: time.Second})
				_, _ = fmt.Fprintln(bar, "between")
				bar.Hook(xme.Progress{Run: 2, Total: -1, Done: 3, Rate: 1, Left: -1})
				bar.Hook(xme.Progress{Run: 2, Total: 20, Done: 5, Over: true, Elapsed: time.Minute}) // the loop was left
			})
			if len(screen) != 13 {
				t.Fatalf("%d lines on the screen, want 13:\n%s\n%q", len(screen), strings.Join(screen, "\n"), raw)
			}
			for i := range 10 {
				if screen[i] != fmt.Sprint("line ", i) {
					t.Errorf("line %d is %q", i, screen[i])
				}
			}
			first, last := screen[10], screen[12]
			if !strings.HasPrefix(first, "rows") || screen[11] != "between" || !strings.HasPrefix(last, "rows") {
				t.Errorf("the bars are\n%s\nbetween is %q, and\n%s", first, screen[11], last)
			}
			for _, bar := range []string{first, last} {
				if n := len([]rune(bar)); n > int(columns) {
					t.Errorf("%d columns: %q", n, bar)
				}
			}
			if name == "wide" && (!strings.HasSuffix(strings.TrimSpace(first), "10/10, 1 failed, 1s") || !strings.HasSuffix(strings.TrimSpace(last), "5/20, 1m0s")) {
				t.Errorf("the bars are\n%s\n%s", first, last)
			}
		})
	}
}

// A dumb terminal, and one without a width, get lines.
//
// feature: S3
func TestPoorTerminals(t *testing.T) {
	for name, columns := range map[string]uint16{"dumb": 80, "no width": 0} {
		t.Run(name, func(t *testing.T) {
			if name == "dumb" {
				t.Setenv("TERM", "dumb")
			}
			_, raw := onTerminal(t, columns, func(bar *progress.Bar) {
				bar.Hook(xme.Progress{Run: 1, Total: 10, Done: 3})
				bar.Hook(xme.Progress{Run: 1, Total: 10, Done: 10, Over: true})
			})
			if raw != "rows: 10/10, 0s\r\n" {
				t.Errorf("wrote %q", raw)
			}
		})
	}
}
