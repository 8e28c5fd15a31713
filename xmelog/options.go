package xmelog

import (
	"log/slog"

	"github.com/xenonmp/xme/internal/logmark"
)

// Options says how lines look. The zero value shows the time, the process and, if there
// is one, the type, and indents.
type Options struct {
	// File names a file to which lines are also appended. It is created if it does not
	// exist, and processes can share it: lines are written whole. A Handler keeps it open
	// while lines are written and for one to two seconds after, and then opens it by name
	// again: a file that is renamed away is still written to until there is such a pause.
	// A pool keeps the file of its Options.Log open from Open to Close.
	File string

	// Level is the least level that is written. nil: slog.LevelInfo.
	Level slog.Leveler

	NoTime   bool // leave out the time
	NoPID    bool // leave out the process
	NoType   bool // leave out the type
	NoIndent bool // do not indent

	// Type is the type of messages that have no other.
	Type string

	// Unit is written Width times for each step of a message's indentation. Empty: "-".
	Unit  string
	Width int // 0: 4

	// Task makes the lines of a task end with func=, rank= and row=, which say which task
	// it is. Other handlers always get these attributes.
	Task bool
}

// Defaults of Options.
const (
	defaultUnit  = "-"
	defaultWidth = 4
)

// Type returns an attribute that gives a message its type.
func Type(t string) slog.Attr { return slog.Any("type", logmark.Type(t)) }

// Indent returns an attribute that indents a message by n steps. Several add up,
// including those of [slog.Logger.With].
func Indent(n int) slog.Attr { return slog.Any("indent", logmark.Indent(n)) }

// PID returns an attribute that shows a message as coming from process n; 0 shows no
// process.
func PID(n int) slog.Attr { return slog.Any("pid", logmark.PID(n)) }
