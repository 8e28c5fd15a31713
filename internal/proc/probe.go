package proc

import (
	"errors"
	"os"

	"github.com/xenonmp/xme/internal/sys"
)

// Probe is a process of this program that says it is up and waits for its end: the
// floor that a pool's start-up is measured against.
type Probe struct {
	process *os.Process
	stream  sys.Stream
}

// StartProbe starts one. It is not offered on Windows.
func (e *Exec) StartProbe() (*Probe, error) {
	stream, theirs, err := sys.SocketPair()
	if err != nil {
		return nil, err
	}
	p, err := e.spawn(kindProbe, false, nil, []*os.File{os.Stdout, os.Stderr}, theirs)
	err = errors.Join(err, theirs.Close())
	if err != nil {
		return nil, errors.Join(err, stream.Close())
	}
	return &Probe{process: p, stream: stream}, nil
}

// Up blocks until the process has reached xme.Init.
func (p *Probe) Up() error {
	var b [1]byte
	_, _, err := p.stream.Read(b[:])
	return err
}

// End ends the process and reaps it.
func (p *Probe) End() error {
	err := p.stream.Close()
	_, waitErr := p.process.Wait()
	return errors.Join(err, waitErr)
}
