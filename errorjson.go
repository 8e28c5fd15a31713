package xme

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"
)

// errorJSON is an Error in JSON. What is empty or zero is left out, but for row: row
// and exit_code are left out where there is none.
type errorJSON struct {
	Cause    string     `json:"cause"`             // Cause's name
	Error    string     `json:"error"`             // the line of Error
	Message  string     `json:"message,omitempty"` //
	Func     string     `json:"func"`
	Row      *int       `json:"row,omitempty"`
	Rank     int        `json:"rank,omitempty"`
	PID      int        `json:"pid,omitempty"`
	Attempt  int        `json:"attempt,omitempty"`
	Attempts int        `json:"attempts,omitempty"`
	Nested   []string   `json:"nested,omitempty"`
	Earlier  []string   `json:"earlier,omitempty"`
	At       *frameJSON `json:"at,omitempty"` // the user's frame in stack
	ExitCode *int       `json:"exit_code,omitempty"`
	Signal   string     `json:"signal,omitempty"`
	Killed   bool       `json:"killed,omitempty"`
	Memory   int64      `json:"memory_bytes,omitempty"`
	CPU      float64    `json:"cpu_seconds,omitempty"`
	Known    []string   `json:"known,omitempty"` // names of known errors
	Stack    string     `json:"stack,omitempty"`
	Output   string     `json:"output,omitempty"`
	Help     string     `json:"help"` // where the cause is explained
}

type frameJSON struct {
	Func string `json:"func"`
	File string `json:"file"`
	Line int    `json:"line"`
}

// MarshalJSON encodes e as an object with these keys, which docs/causes.md describes:
//
//	cause error message func row rank pid attempt attempts nested earlier at{func file line}
//	exit_code signal killed memory_bytes cpu_seconds known stack output help
//
// The keys cause, error, func and help are always present, row unless there is none, and
// exit_code once the worker is gone; other keys are left out if zero or empty. Control
// characters, except tabs and the line ends of stack and output, are escaped as %+v
// prints them. Known errors are given by name only: see UnmarshalJSON.
func (e *Error) MarshalJSON() ([]byte, error) {
	if e == nil {
		return []byte("null"), nil
	}
	j := errorJSON{
		Cause: e.Cause.String(), Error: e.Error(), Message: escapeLines(e.Message), Func: escape(e.Func), Rank: e.Rank, PID: e.PID,
		Attempt: e.Attempt, Attempts: e.Attempts, Nested: escapeAll(e.Nested), Earlier: escapeAll(e.Earlier),
		Signal: escape(e.Signal), Killed: e.Killed, Memory: e.Memory, CPU: e.CPU.Seconds(), Known: escapeAll(e.names()),
		Stack: escapeLines(e.Stack), Output: escapeLines(e.Output), Help: e.Help(),
	}
	if e.Row >= 0 {
		j.Row = &e.Row
	}
	if e.gone() {
		j.ExitCode = &e.ExitCode
	}
	if f, ok := e.Frame(); ok {
		j.At = &frameJSON{Func: escape(f.Function), File: escape(f.File), Line: f.Line}
	}
	return json.Marshal(j)
}

// UnmarshalJSON decodes the output of MarshalJSON. errors.Is finds the known errors named
// in it, as far as this process knows them; a cause unknown to this process is an error.
func (e *Error) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var j errorJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("xme: decode an error: %w", err)
	}
	cause, ok := causeNamed(j.Cause)
	if !ok {
		return fmt.Errorf("xme: decode an error: no cause %q", j.Cause)
	}
	*e = Error{
		Cause: cause, Message: j.Message, Func: j.Func, Row: -1, Rank: j.Rank, PID: j.PID, Attempt: j.Attempt, Attempts: j.Attempts,
		Nested: j.Nested, Earlier: j.Earlier, Signal: j.Signal, Killed: j.Killed, Memory: j.Memory, CPU: time.Duration(math.Round(j.CPU * float64(time.Second))),
		known: j.Known, Stack: j.Stack, Output: j.Output,
	}
	if j.Row != nil {
		e.Row = *j.Row
	}
	if j.ExitCode != nil {
		e.ExitCode = *j.ExitCode
	}
	if topic, ok := strings.CutPrefix(j.Help, helpPage+"#"); ok && j.Help != cause.Help() && isTopic(topic) {
		e.topic = topic
	}
	return nil
}

// LogValue implements [slog.LogValuer]. It returns a group with the keys of MarshalJSON,
// but without error, which the message of the record is better suited to say, and with
// only the last lines of output.
func (e *Error) LogValue() slog.Value {
	if e == nil {
		return slog.AnyValue(nil)
	}
	var list []slog.Attr
	add := func(there bool, a slog.Attr) {
		if there {
			list = append(list, a)
		}
	}
	text := func(key, value string) { add(value != "", slog.String(key, value)) }
	texts := func(key string, values []string) { add(len(values) > 0, slog.Any(key, escapeAll(values))) }
	text("cause", e.Cause.String())
	text("message", escapeLines(e.Message))
	text("func", escape(e.Func))
	add(e.Row >= 0, slog.Int("row", e.Row))
	add(e.Rank > 0, slog.Int("rank", e.Rank))
	add(e.PID > 0, slog.Int("pid", e.PID))
	add(e.Attempt > 0, slog.Int("attempt", e.Attempt))
	add(e.Attempts > 0, slog.Int("attempts", e.Attempts))
	texts("nested", e.Nested)
	texts("earlier", e.Earlier)
	if f, ok := e.Frame(); ok {
		list = append(list, slog.Group("at", "func", escape(f.Function), "file", escape(f.File), "line", f.Line))
	}
	add(e.gone(), slog.Int("exit_code", e.ExitCode))
	text("signal", escape(e.Signal))
	add(e.Killed, slog.Bool("killed", true))
	add(e.Memory > 0, slog.Int64("memory_bytes", e.Memory))
	add(e.CPU > 0, slog.Float64("cpu_seconds", e.CPU.Seconds()))
	texts("known", e.names())
	text("stack", escapeLines(e.Stack))
	text("output", escapeLines(lastOutput(e.Output)))
	text("help", e.Help())
	return slog.GroupValue(list...)
}

// escapeLines is escape for a text of several lines.
func escapeLines(s string) string {
	if !strings.Contains(s, "\n") {
		return escape(s)
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = escape(line)
	}
	return strings.Join(lines, "\n")
}

func escapeAll(list []string) []string {
	all := make([]string, 0, len(list))
	for _, s := range list {
		all = append(all, escape(s))
	}
	return all
}
