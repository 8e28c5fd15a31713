package xmelog

import (
	"log/slog"

	"github.com/xenonmp/xme/internal/logmark"
)

// Options says how lines look. The zero value shows the time, the process, the type
// where there is one, and indents.
type Options struct {
	// File names a file that lines are appended to besides. It is made if there is
	// none, and can be shared by processes: lines are written whole. A Handler has it
	// open while lines are written and for one to two seconds after, and then opens it
	// by its name anew: one that is renamed away is written to until there was such a
	// pause. A pool has that of its Options.Log open from Open to Close.
	File string

	// Level is the least that is written. nil: slog.LevelInfo.
	Level slog.Leveler

	NoTime   bool // leave out the time
	NoPID    bool // leave out the process
	NoType   bool // leave out the type
	NoIndent bool // do not indent

	// Type is the type of messages that have no other.
	Type string

	// Unit is written Width times for each step that a message is indented.
	// Empty: "-".
	Unit  string
	Width int // 0: 4

	// Task has the lines of a task end in func=, rank= and row=, which say what it
	// is. Other handlers get these attributes always.
	Task bool
}

// Defaults of Options.
const (
	defaultUnit  = "-"
	defaultWidth = 4
)

// Type returns an attribute that gives a message its type.
func Type(t string) slog.Attr { return slog.Any("type", logmark.Type(t)) }

// Indent returns an attribute that indents a message by n steps. Several add up, those
// of [slog.Logger.With] included.
func Indent(n int) slog.Attr { return slog.Any("indent", logmark.Indent(n)) }

// PID returns an attribute that has a message come from process n; 0 shows none.
func PID(n int) slog.Attr { return slog.Any("pid", logmark.PID(n)) }
