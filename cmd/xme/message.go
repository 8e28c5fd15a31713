package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/xenonmp/xme/monitor"
)

// messageCommand makes keys, and seals and opens messages as package monitor does.
type messageCommand struct {
	Key  messageKeyCommand  `cmd:"" help:"Print a new key: keep it in a file that only you can read."`
	Seal messageSealCommand `cmd:"" help:"Seal a JSON text: what Monitor.Unmarshal merges is an object."`
	Open messageOpenCommand `cmd:"" help:"Open a sealed message and print its text."`
}

type messageKeyCommand struct{}

// Run prints one line.
func (messageKeyCommand) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, monitor.NewKey().Text())
	return err
}

// messageInput is what sealing and opening have in common. A key is never an argument: those of a process are seen by all users.
type messageInput struct {
	KeyFile string `name:"key-file" help:"File with a key on each line: the first seals, any opens." placeholder:"FILE" type:"path"`
	KeyEnv  string `name:"key-env" help:"Environment variable with the key, if there is no --key-file." placeholder:"NAME" default:"XME_MESSAGE_KEY"`
	Context string `help:"What the message is for: both sides name the same."`
	Limit   int    `help:"Most bytes of a text." default:"67108864"`
	File    string `arg:"" optional:"" help:"What to read; none or -: standard input." default:"-"`
}

func (m *messageInput) keys() (*monitor.Keys, error) {
	text, from := os.Getenv(m.KeyEnv), "the environment variable "+m.KeyEnv
	if m.KeyFile != "" {
		b, err := os.ReadFile(m.KeyFile)
		if err != nil {
			return nil, err
		}
		text, from = string(b), m.KeyFile
	}
	var all []monitor.Key
	for line := range strings.FieldsSeq(text) {
		k, err := monitor.ParseKey(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		all = append(all, k)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no key in %s: make one with `xme message key`, and name its file with --key-file", from)
	}
	return monitor.NewKeys(all[0], all[1:]...), nil
}

// read reads the input, up to one byte more than the limit.
func (m *messageInput) read() ([]byte, error) {
	if m.Limit < 1 || m.Limit > 1<<40 {
		return nil, fmt.Errorf("--limit=%d: give a number from 1 to %d", m.Limit, 1<<40)
	}
	in := io.Reader(os.Stdin)
	if m.File != "-" {
		f, err := os.Open(m.File)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, int64(m.Limit)+int64(monitor.Overhead)+1))
}

type messageSealCommand struct {
	messageInput `embed:""`

	Plain bool `help:"Do not compress."`
}

// Run writes the sealed message.
func (c *messageSealCommand) Run(out io.Writer) error {
	keys, err := c.keys()
	if err != nil {
		return err
	}
	text, err := c.read()
	if err != nil {
		return err
	}
	if len(text) <= c.Limit && !json.Valid(text) {
		return errors.New("the text is no JSON")
	}
	sealed, err := monitor.Sealer{Keys: keys, Context: c.Context, Limit: c.Limit, Plain: c.Plain}.Seal(text)
	if err != nil {
		return err
	}
	_, err = out.Write(sealed)
	return err
}

type messageOpenCommand struct {
	messageInput `embed:""`

	Info bool `help:"Print what the message says of itself, without a key. It may not be true."`
}

// Run prints the text of a message, or what the message says of itself.
func (c *messageOpenCommand) Run(out io.Writer) error {
	sealed, err := c.read()
	if err != nil {
		return err
	}
	if c.Info {
		return c.info(out, sealed)
	}
	keys, err := c.keys()
	if err != nil {
		return err
	}
	text, _, err := (&monitor.Opener{Keys: keys, Context: c.Context, Limit: c.Limit}).Open(sealed)
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(text, []byte{'\n'}) {
		text = append(text, '\n')
	}
	_, err = out.Write(text)
	return err
}

func (c *messageOpenCommand) info(out io.Writer, sealed []byte) error {
	h, err := monitor.Inspect(sealed)
	if err != nil {
		return err
	}
	more := ""
	if len(sealed) > c.Limit+monitor.Overhead { // no more was read
		more = "at least "
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "version\t%d\nkey\t%s\nsealed\t%s\ncompressed\t%t\ntext\t%d bytes\nmessage\t%s%d bytes\n",
		h.Version, h.KeyID, h.SealedAt.UTC().Format(time.RFC3339Nano), h.Compressed, h.Length, more, h.Sealed)
	return w.Flush()
}
