package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/xenonmp/xme/internal/sys"
)

// peer is a second process of this program, for floors between two processes. It does its role once for each line that
// it is sent, and ends with its standard input: so it outlives nobody.
type peer struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	memory *sys.Shared // nil if the role needs none
}

// roles are what a peer can do; each gets the memory that it shares with the driver, and the line.
var roles = map[string]func(memory []byte, line string) error{}

// peerEnv names a peer's role and the size of its memory, which it inherits as descriptor 3.
const peerEnv = "XME_BENCH_PEER"

// startPeer starts a process in a role, with size bytes of shared memory if that is more than 0.
func startPeer(ctx context.Context, role string, size int) (*peer, error) {
	path, err := sys.Executable()
	if err != nil {
		return nil, err
	}
	p := &peer{cmd: exec.CommandContext(ctx, path)}
	p.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d", peerEnv, role, size))
	p.cmd.Stderr = os.Stderr
	if size > 0 {
		if p.memory, err = sys.NewShared(size); err != nil {
			return nil, orAbsent(err)
		}
		p.memory.Prefault()
		p.cmd.ExtraFiles = []*os.File{p.memory.File()}
	}
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(orAbsent(err), p.unmap()) // Windows: no file beside the first three
	}
	return p, nil
}

// bytes is what it shares with this process.
func (p *peer) bytes() []byte { return p.memory.Bytes() }

func (p *peer) pid() int { return p.cmd.Process.Pid }

// do has it do its role once, and does not wait for that.
func (p *peer) do(line string) error {
	_, err := io.WriteString(p.in, line+"\n")
	return err
}

// close ends it, whatever it is doing.
func (p *peer) close() error {
	_ = p.in.Close()
	return errors.Join(p.cmd.Wait(), p.unmap())
}

func (p *peer) unmap() error {
	if p.memory == nil {
		return nil
	}
	return p.memory.Close()
}

// closePeers is for a deferred call: what the floor measured stands, and is no good if its other process failed.
func closePeers(err *error, peers ...*peer) {
	for _, p := range peers {
		if e := p.close(); *err == nil {
			*err = e
		}
	}
}

// servePeer does what a peer does if this process is one, and does not return then.
func servePeer() {
	spec, ok := os.LookupEnv(peerEnv)
	if !ok {
		return
	}
	_ = os.Unsetenv(peerEnv)
	lines := make(chan string, 1)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
		os.Exit(0)
	}()
	if err := serveRole(spec, lines); err != nil {
		fmt.Fprintf(os.Stderr, "xme: peer %s: %v\n", spec, err)
	}
	os.Exit(1)
}

// serveRole returns only with an error.
func serveRole(spec string, lines <-chan string) error {
	name, text, _ := strings.Cut(spec, ":")
	role := roles[name]
	size, err := strconv.Atoi(text)
	if err != nil || role == nil {
		return errors.New("no such role")
	}
	var memory []byte
	if size > 0 {
		s, err := sys.OpenShared(os.NewFile(3, "memory"), size, true)
		if err != nil {
			return err
		}
		s.Prefault()
		memory = s.Bytes()
	}
	for line := range lines {
		if err := role(memory, line); err != nil {
			return err
		}
	}
	return nil
}
