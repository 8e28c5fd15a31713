// Package xmelog writes log records as lines that say when and in which process
// something happened:
//
//	2026-11-24 03:34:27(pid@114796):two rows read
//	2026-11-24 03:34:27(pid@114796):----the first is short length=3
//	(WARN)2026-11-24 03:34:28(pid@114796):the second is empty
//
// A [Handler] is a [slog.Handler]. [Options] says what of a line is shown, [With]
// gives a logger other options, and [Type], [Indent] and [PID] are attributes for one
// message or, with [slog.Logger.With], for all that follow.
//
//	h, err := xmelog.New(os.Stderr, xmelog.Options{File: "all.log"})
//	…
//	log := slog.New(h)
//	log.Info("two rows read")
//	log.Info("the first is short", xmelog.Indent(1), "length", 3)
//
// # A line
//
// It is, each part in brackets only if there is something to show:
//
//	[(type)][2006-01-02 15:04:05][(pid@N)][:] ---- × indent, message, " key=value" for each attribute
//
// The time is local, and the colon stands only behind a type, a time or a process. The
// type is shown if the message was given one, has a level of at least [slog.LevelWarn],
// whose name it then is, or if Options.Type is set. A message of several lines is
// written as several, each behind the same beginning, attributes in the last. Control
// characters other than tabs are escaped, so that no message can drive a terminal or
// look like another one; what was printed, and not logged, is passed on as it is. A record
// of which more than a megabyte would be written is cut. Keys and values are quoted where [slog.TextHandler] quotes
// them, and a key in groups has their names before it, with dots.
//
// # In a pool
//
// Package xme writes the records of its workers this way unless told otherwise.
package xmelog
