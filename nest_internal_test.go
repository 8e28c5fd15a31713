package xme

import (
	"testing"

	"github.com/xenonmp/xme/internal/link"
	"github.com/xenonmp/xme/internal/wire"
)

// toldConn keeps the frames that it is given, and calls flush at the next Flush.
type toldConn struct {
	link.Conn
	kinds []wire.Kind
	flush func()
}

func (c *toldConn) Send(f link.Frame) bool {
	c.kinds = append(c.kinds, f.Kind)
	return false
}

func (c *toldConn) Flush() {
	if f := c.flush; f != nil {
		c.flush = nil
		f()
	}
}

// A goroutine that begins to wait for a future while that ends is not counted: nobody would take it off again.
// feature: U7
func TestWaitBesideTheEnd(t *testing.T) {
	t.Parallel()
	for name, enter := range map[string]func(*waitPoint){"Wait": (*waitPoint).enter, "Done": (*waitPoint).enterForGood} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := &toldConn{}
			task := &nestTask{n: &nester{conn: conn, calls: map[uint64]*Call{}}}
			w := waitPointOn(task)
			w.enter()
			conn.flush = func() { enter(&w) }
			w.end()
			w.leave()
			if task.waiting != 0 || task.lent || conn.flush != nil {
				t.Errorf("%d goroutines wait, lent: %v, after %v", task.waiting, task.lent, conn.kinds)
			}
		})
	}
}
