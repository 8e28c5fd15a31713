package sys

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// A carrier moves open files between two processes, one of which may reach into the other. In between they are handles:
// numbers by which the process that is reached into knows them.
type carrier interface {
	// give makes handles of files for the other side; the files stay the caller's. After an error there are none.
	give(files []*os.File) ([]uint32, error)

	// drop closes what give has made and nobody has seen.
	drop(handles []uint32)

	// take makes files of the handles that the other side has given, which may be any numbers. After an error there are
	// none.
	take(handles []uint32) ([]*os.File, error)

	// attach names the process at the other end.
	attach(pid int) error

	// close may be called any number of times, while files are under way.
	close()
}

// carrying is a Stream of two pipes that carry files as handles. What one Write sends is preceded by a head: how many
// bytes follow (4), how many handles (2), zero (2), and the handles (4 each), little-endian.
type carrying struct {
	pipes
	c carrier

	in   *bufio.Reader // the reading goroutine's
	left int           // bytes of what one Write has sent that are still to be read

	out []byte // the writing goroutine's
}

const (
	carryHead = 8
	// carryMost bounds what one head announces.
	carryMost = 1 << 30
	// carryWhole is up to where bytes are copied behind their head, so that they are one write.
	carryWhole = 32 << 10
)

func newCarrying(r, w *os.File, c carrier) *carrying {
	return &carrying{pipes: pipes{r, w}, c: c, in: bufio.NewReaderSize(r, 64<<10)}
}

func (s *carrying) CarriesFiles() bool { return true }

func (s *carrying) attach(pid int) error { return s.c.attach(pid) }

func (s *carrying) Close() error {
	err := s.pipes.Close()
	s.c.close()
	return err
}

func (s *carrying) Read(b []byte) (n int, files []*os.File, err error) {
	if len(b) == 0 {
		return 0, nil, nil
	}
	if s.left == 0 {
		if files, err = s.head(); err != nil {
			return 0, nil, err
		}
	}
	n, err = s.in.Read(b[:min(len(b), s.left)])
	s.left -= n
	if n > 0 {
		return n, files, nil
	}
	closeAll(files)
	return 0, nil, cutShort(err)
}

// head reads what precedes the bytes of one Write and takes the files.
func (s *carrying) head() ([]*os.File, error) {
	var b [carryHead]byte
	if _, err := io.ReadFull(s.in, b[:]); err != nil {
		return nil, err
	}
	size, n, zero := binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:])
	if size == 0 || size > carryMost || n > MaxFiles || zero != 0 {
		return nil, fmt.Errorf("the link announces %d bytes with %d files (%d)", size, n, zero)
	}
	s.left = int(size)
	if n == 0 {
		return nil, nil
	}
	raw := make([]byte, 4*int(n))
	if _, err := io.ReadFull(s.in, raw); err != nil {
		return nil, cutShort(err)
	}
	handles := make([]uint32, n)
	for i := range handles {
		handles[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	files, err := s.c.take(handles)
	if err != nil {
		return nil, fmt.Errorf("receive files: %w", err)
	}
	return files, nil
}

// cutShort is the error of an end where more was announced.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (s *carrying) Write(b []byte, files []*os.File) (done int, err error) {
	for done < len(b) {
		n, err := s.send(b[done:min(len(b), done+carryMost)], files)
		done += n
		if err != nil {
			return done, err
		}
		files = nil
	}
	return done, nil
}

func (s *carrying) send(b []byte, files []*os.File) (int, error) {
	if len(files) > MaxFiles {
		return 0, fmt.Errorf("more than %d open files at once", MaxFiles)
	}
	var handles []uint32
	if len(files) > 0 {
		var err error
		if handles, err = s.c.give(files); err != nil {
			return 0, fmt.Errorf("send files: %w", err)
		}
	}
	s.out = binary.LittleEndian.AppendUint32(s.out[:0], uint32(len(b)))
	s.out = binary.LittleEndian.AppendUint16(s.out, uint16(len(handles)))
	s.out = binary.LittleEndian.AppendUint16(s.out, 0)
	for _, h := range handles {
		s.out = binary.LittleEndian.AppendUint32(s.out, h)
	}
	head, whole := len(s.out), len(b) <= carryWhole
	if whole {
		s.out = append(s.out, b...)
	}
	n, err := s.pipes.Write(s.out, nil)
	if n == 0 && err != nil {
		s.c.drop(handles) // once a byte has gone, the other side may have taken them
	}
	if err != nil || whole {
		return max(0, n-head), err
	}
	return s.pipes.Write(b, nil)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = Release(f)
	}
}
