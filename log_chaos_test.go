package xme_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/internal/long"
	"github.com/xenonmp/xme/internal/proc"
	"github.com/xenonmp/xme/xmelog"
	"github.com/xenonmp/xme/xmetest"
)

// told is a row of log.tell: it logs and prints N lines each, and notes in File, at At, how many it has written.
type told struct {
	Row, N int
	File   string
	At     int64
}

var logTell = xme.Register("log.tell", func(ctx context.Context, in told) (int, error) {
	f, err := os.OpenFile(in.File, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	l := xme.Logger(ctx)
	for i := range in.N {
		l.Info("record", "row", in.Row, "n", i, "text", text(in.Row, i))
		if err := noteWritten(f, in.At, i+1); err != nil {
			return 0, err
		}
		if _, err := fmt.Printf("printed row=%d n=%d text=%s\n", in.Row, i, text(in.Row, i)); err != nil {
			return 0, err
		}
		if err := noteWritten(f, in.At+8, i+1); err != nil {
			return 0, err
		}
	}
	return os.Getpid(), nil
})

func noteWritten(f *os.File, at int64, n int) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	_, err := f.WriteAt(b[:], at)
	return err
}

// text is of a length that only its line knows; some are larger than what a pipe takes whole.
func text(row, n int) string { return strings.Repeat("x", (row*31+n*7)%200+n%100/99*9000) }

// heard is what has come of one kind of line of one row.
type heard struct {
	n   int
	pid int
}

// Eight workers log and print while some are killed at random: lines are whole, in order, and none is missing that was
// written before its worker died.
//
// feature: L3
func TestLogsOutliveTheirWorkers(t *testing.T) {
	rows, each := 160, 500 // 8 × 10,000 of each kind
	if !long.Wanted() {
		rows = 24
	}
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	file := filepath.Join(t.TempDir(), "written")
	if err := os.WriteFile(file, make([]byte, rows*16), 0o644); err != nil {
		t.Fatal(err)
	}
	var out lines
	pool := xmetest.Open(t, xme.Options{Workers: 8, Spares: 4, Stdout: &out, Stderr: &out, Log: xmelog.Options{NoTime: true}})
	in := func(yield func(told) bool) {
		for r := range rows {
			if !yield(told{r, each, file, int64(r) * 16}) {
				return
			}
		}
	}
	lost, whole := 0, 0
	kill := make(chan struct{})
	killed := make(chan int)
	go func() {
		n := 0
		for range kill { // about every third row
			if n < 3 || rng.IntN(3) == 0 { // the first at once, while all have rows
				for range rng.IntN(200) { // somewhere in the middle
					_ = pool.Stats()
				}
				if proc.KillRank(pool, 1+rng.IntN(8)) == nil { // else it is being replaced
					n++
				}
			}
		}
		killed <- n
	}()
	pids := map[int]int{} // by row
	for r := range logTell.Unordered(t.Context(), pool, in) {
		var e *xme.Error
		switch {
		case r.Err == nil:
			whole++
			pids[r.Index] = r.Value
		case errors.As(r.Err, &e) && e.Cause == xme.CauseLost && e.Signal == "SIGKILL":
			lost++
			pids[r.Index] = e.PID
		default:
			t.Fatal(r.Err)
		}
		kill <- struct{}{}
	}
	close(kill)
	kills := <-killed
	_ = pool.Close()
	t.Logf("%d rows ended, %d were lost, %d kills", whole, lost, kills)
	if lost == 0 || whole == 0 {
		t.Errorf("%d rows lost, %d not: nothing was tried", lost, whole)
	}
	checkTold(t, out.String(), file, rows, pids)
}

// checkTold reads all lines and compares them with what was written.
func checkTold(t *testing.T, out, file string, rows int, pids map[int]int) {
	t.Helper()
	got := map[string][]heard{"record": make([]heard, rows), "printed": make([]heard, rows)}
	for line := range strings.Lines(out) {
		var kind, x string
		var pid, row, n int
		head, message, _ := strings.Cut(line, ":")
		if strings.HasPrefix(message, "xme: ") {
			t.Fatalf("lines were dropped: %s", line)
		}
		_, err := fmt.Sscanf(head, "(pid@%d)", &pid)
		if err == nil {
			message = strings.Replace(message, "text=\"\"", "text=", 1) // as an empty value is written
			if _, err = fmt.Sscanf(message, "%s row=%d n=%d text=%s\n", &kind, &row, &n, &x); err != nil && strings.HasSuffix(message, " text=\n") {
				err = nil
			}
		}
		switch {
		case x != text(row, n) && strings.HasPrefix(message, "printed") && cut(message):
			continue // its worker was killed as it wrote this one
		case err != nil || got[kind] == nil || row >= rows || x != text(row, n):
			t.Fatalf("a line that nobody wrote: %.200q: %v", line, err)
		}
		h := &got[kind][row]
		if n != h.n || h.pid != 0 && h.pid != pid || pids[row] != 0 && pids[row] != pid {
			t.Fatalf("%s %d of row %d from process %d; want %d of %d", kind, n, row, pid, h.n, h.pid)
		}
		h.n, h.pid = n+1, pid
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for row := range rows {
		for i, kind := range []string{"record", "printed"} {
			n := int(binary.LittleEndian.Uint64(written[row*16+i*8:]))
			h := got[kind][row]
			if h.n != n && h.n != n+1 { // it may have been killed before it took note
				t.Errorf("row %d: %d lines %q, but %d were written", row, h.n, kind, n)
			}
			lines += h.n
		}
	}
	t.Logf("%d lines", lines)
}

// cut reports whether a printed line may be the beginning of one: a write of more than a pipe takes at once is not whole
// if its process dies in it.
func cut(message string) bool {
	var row, n int
	_, err := fmt.Sscanf(message, "printed row=%d n=%d text=", &row, &n)
	return err == nil && len(text(row, n)) > 4000
}
