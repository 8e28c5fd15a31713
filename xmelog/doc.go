// Package xmelog writes log records as lines that say when and in which process something
// happened:
//
//	2026-11-24 03:34:27(pid@114796):two rows read
//	2026-11-24 03:34:27(pid@114796):----the first is short length=3
//	(WARN)2026-11-24 03:34:28(pid@114796):the second is empty
//
// A [Handler] is a [slog.Handler]. [Options] says which parts of a line are shown, [With]
// gives a logger other options, and [Type], [Indent] and [PID] are attributes for one
// message or, with [slog.Logger.With], for all that follow.
//
//	h, err := xmelog.New(os.Stderr, xmelog.Options{File: "all.log"})
//	…
//	log := slog.New(h)
//	log.Info("two rows read")
//	log.Info("the first is short", xmelog.Indent(1), "length", 3)
//
// # Format
//
// A line has this form, where parts in brackets are present only if there is something to
// show:
//
//	[(type)][2006-01-02 15:04:05][(pid@N)][:] ---- × indent, message, " key=value" for each attribute
//
// The time is local. The colon is present only after a type, a time or a process. The
// type is the one the message was given; otherwise the name of the level, if that is at
// least [slog.LevelWarn]; otherwise Options.Type, if set. A message of several lines is
// written as several, each with the same beginning, with the attributes in the last.
// Control characters other than tabs are escaped, so that no message can control a
// terminal or look like another message; what was printed rather than logged is passed on
// as it is. A record that would take more than a megabyte is cut. Keys and values are
// quoted where [slog.TextHandler] quotes them, and a key in groups is preceded by their
// names, with dots.
//
// # In a pool
//
// Package xme writes the log records of its workers in this form unless told otherwise.
package xmelog
