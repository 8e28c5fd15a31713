package link

import (
	"errors"
	"os"

	"github.com/xenonmp/xme/internal/wire"
)

// Frame is one message on a link. wire.Header says what its fields mean.
type Frame struct {
	Kind   wire.Kind
	Func   uint16
	Call   uint64
	Time   uint64
	Body   []byte
	Parcel *wire.Parcel // open files that travel with the body
	Loose  bool         // of a row: the body has no index, see FlagLoose

	// Space, if not nil, returns memory to append a result to that takes n bytes; nil:
	// any will do.
	Space func(n int) []byte

	// Blocks, if not nil, is to be called before the row waits for other frames.
	Blocks func()

	// Over, if not nil, is closed once no more shared memory will be shown.
	Over <-chan struct{}

	lane *workerLane // KindLane within one process: the worker's end
}

// takeFile takes over the file of a frame that brings one, and closes what else it brings.
func (f Frame) takeFile() (*os.File, error) {
	defer f.Parcel.Close()
	if f.Parcel == nil || len(f.Parcel.Items) != 1 {
		return nil, errors.New("malformed")
	}
	file := f.Parcel.Items[0].File
	f.Parcel.Items[0].File = nil
	return file, nil
}

// Conn carries frames both ways, in order. Any goroutine may send; one receives.
type Conn interface {
	// Send queues f without blocking. A body for which it returns true is
	// referenced until written and must not be changed; others were copied. The
	// parcel's files belong to the Conn, which closes them once they are written.
	Send(f Frame) (kept bool)

	// Flush starts to write what is queued and does not block. What fails shows
	// in Recv.
	Flush()

	// Queued returns how many bytes are sent and not written. What stays in memory of this process does not count.
	Queued() int

	// Wait blocks until no more than limit bytes are queued or the Conn has failed.
	Wait(limit int)

	// Recv blocks for the next frame. Its body is valid until the next Recv
	// unless owned is true. It returns an error once the other side is gone,
	// after everything that had arrived; after Close, ErrClosed.
	Recv() (f Frame, owned bool, err error)

	// Buffered reports whether the next Recv will return without blocking. Only
	// the receiving goroutine may call it; false is always a correct answer.
	Buffered() bool

	// Pending reports whether bytes wait to be received. Any goroutine may ask;
	// false is always a correct answer.
	Pending() bool

	// CarriesFiles reports whether parcels with files may be sent.
	CarriesFiles() bool

	// Local reports whether both ends are in this process, which has one table of shared
	// memory: only then may parcels with regions be sent.
	Local() bool

	// Close unblocks everything. Any number of calls, from anywhere.
	Close() error
}

// ErrClosed is what a closed Conn returns.
var ErrClosed = errors.New("link closed")
