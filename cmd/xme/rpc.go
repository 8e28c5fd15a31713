package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/xenonmp/xme/monitor/rpc"
)

// rpcCommand uses a server of package rpc.
type rpcCommand struct {
	Call  rpcCallCommand  `cmd:"" help:"Call a function, or stream many calls, and print what comes back as JSON, a line each."`
	List  rpcListCommand  `cmd:"" help:"List the functions that may be called."`
	Watch rpcWatchCommand `cmd:"" help:"Print messages as they change, a line of JSON each, until Ctrl-C."`
	Token rpcTokenCommand `cmd:"" help:"Make a token for a client: print it, and its line for the server's file to stderr."`
}

// rpcServer is how a server is reached.
type rpcServer struct {
	Addr      string        `arg:"" help:"https://host:port; of this machine also http://127.0.0.1:port and unix:/path."`
	Cert      string        `type:"existingfile" help:"File with this client's certificate (PEM)."`
	Key       string        `type:"existingfile" help:"File with its private key (PEM)."`
	CA        string        `name:"ca" type:"existingfile" help:"File with the certificates of authorities that the server's may come from (PEM); the system's if none is named."`
	TokenFile string        `type:"existingfile" help:"File with this client's token, as xme rpc token prints it."`
	Timeout   time.Duration `help:"Give up after so long; 0: never."`
}

// mostInput bounds what is read from files and standard input: a server takes less.
const mostInput = 1 << 30

// with connects with the server for as long as do runs.
func (s *rpcServer) with(ctx context.Context, do func(ctx context.Context, c *rpc.Client) error) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	if s.Timeout < 0 {
		return fmt.Errorf("--timeout=%v: give a positive time", s.Timeout)
	}
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Timeout)
		defer cancel()
	}
	options, err := s.options()
	if err != nil {
		return err
	}
	c, err := rpc.Dial(ctx, s.Addr, options...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return do(ctx, c)
}

func (s *rpcServer) options() (o []rpc.DialOption, err error) {
	if s.TokenFile != "" {
		text, err := os.ReadFile(s.TokenFile)
		if err != nil {
			return nil, err
		}
		o = append(o, rpc.WithToken(strings.TrimSpace(string(text))))
	}
	if !strings.HasPrefix(s.Addr, "https:") {
		if s.Cert+s.Key+s.CA != "" {
			return nil, fmt.Errorf("%s is reached without TLS: --cert, --key and --ca are for https addresses", s.Addr)
		}
		return append(o, rpc.Plain()), nil
	}
	t, err := rpc.LoadTLS(rpc.TLSFiles{Cert: s.Cert, Key: s.Key, CA: s.CA})
	if err != nil {
		return nil, err
	}
	return append(o, rpc.WithTLS(t)), nil
}

type rpcCallCommand struct {
	rpcServer
	Function string `arg:"" help:"Its full name, or its bare name if only one has it."`
	Args     string `arg:"" optional:"" help:"The argument as JSON, behind -- if it begins with a minus; - or none: from standard input."`
	Stream   bool   `help:"Call it once for each line of standard input, and print {\"index\":…,\"result\":…} or {\"index\":…,\"error\":…} as the calls end."`
}

// Run calls.
func (r *rpcCallCommand) Run(ctx context.Context, out io.Writer) error {
	if r.Stream {
		if r.Args != "" && r.Args != "-" {
			return errors.New("--stream reads its arguments from standard input, a line of JSON each: give none")
		}
		return r.with(ctx, func(ctx context.Context, c *rpc.Client) error {
			in := os.Stdin
			args, err := interruptible(ctx, func() ([]json.RawMessage, error) { return readLines(in) })
			if err != nil {
				return err
			}
			return r.stream(ctx, c, args, out)
		})
	}
	return r.with(ctx, func(ctx context.Context, c *rpc.Client) error {
		args := []byte(r.Args)
		if r.Args == "" || r.Args == "-" {
			in := os.Stdin
			var err error
			if args, err = interruptible(ctx, func() ([]byte, error) { return readInput(in, mostInput) }); err != nil {
				return err
			}
		}
		result, err := c.CallJSON(ctx, r.Function, args)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", result)
		return err
	})
}

// interruptible returns what read does, or why ctx ended first: then read goes on until the process ends.
func interruptible[T any](ctx context.Context, read func() (T, error)) (v T, err error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := read()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return v, context.Cause(ctx)
	}
}

// readInput reads all of standard input, which may have most bytes.
func readInput(in io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(text)) > most {
		return nil, fmt.Errorf("standard input has more than %d bytes: call in parts", most)
	}
	return text, err
}

// readLines reads a line of JSON for each call.
func readLines(in io.Reader) (args []json.RawMessage, err error) {
	text, err := readInput(in, mostInput)
	if err != nil {
		return nil, err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if !json.Valid([]byte(line)) {
			return nil, fmt.Errorf("line %d of standard input is not JSON: %.100q", n, line)
		}
		args = append(args, json.RawMessage(line))
	}
	return args, nil
}

func (r *rpcCallCommand) stream(ctx context.Context, c *rpc.Client, args []json.RawMessage, out io.Writer) error {
	failed := 0
	for row := range rpc.Stream[json.RawMessage, json.RawMessage](ctx, c, r.Function, args) {
		line := struct {
			Index  int             `json:"index"`
			Result json.RawMessage `json:"result,omitempty"`
			Error  string          `json:"error,omitempty"`
		}{Index: row.Index, Result: row.Value}
		if row.Err != nil {
			failed++
			line.Error = row.Err.Error()
		}
		text, err := json.Marshal(line)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s\n", text); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d calls failed", failed, len(args))
	}
	return nil
}

type rpcListCommand struct{ rpcServer }

// Run prints a table.
func (r *rpcListCommand) Run(ctx context.Context, out io.Writer) error {
	return r.with(ctx, func(ctx context.Context, c *rpc.Client) error {
		all, err := c.List(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
		for _, f := range all {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, f.Input, f.Output)
		}
		return w.Flush()
	})
}

type rpcWatchCommand struct {
	rpcServer
	Keys []string `arg:"" optional:"" help:"Keys; a*: all that begin with a; none: all."`
}

// Run prints messages.
func (r *rpcWatchCommand) Run(ctx context.Context, out io.Writer) error {
	return r.with(ctx, func(ctx context.Context, c *rpc.Client) error {
		for m, err := range c.Subscribe(ctx, r.Keys...) {
			switch {
			case err != nil && ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded): // Ctrl-C
				return nil
			case err != nil:
				return err
			}
			text, err := json.Marshal(struct {
				Key      string          `json:"key"`
				Value    json.RawMessage `json:"value,omitempty"`
				Revision uint64          `json:"revision"`
				Deleted  bool            `json:"deleted,omitempty"`
				Missed   int             `json:"missed,omitempty"`
			}{m.Key, m.JSON, m.Rev, m.Deleted, m.Missed})
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(out, "%s\n", text); err != nil {
				return err
			}
		}
		return nil
	})
}

type rpcTokenCommand struct {
	Name string `arg:"" help:"Who the client is, for rpc.Allow."`
}

// Run prints a token, and what a server keeps of it.
func (r *rpcTokenCommand) Run(out io.Writer) error {
	text, line, err := rpc.NewToken(r.Name)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, text); err != nil {
		return err
	}
	_, err = fmt.Fprintln(os.Stderr, line)
	return err
}
