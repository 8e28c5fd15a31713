// Package logmark has the values by which an attribute of a log record says how its
// line is to look. Handlers that do not know them print them as what they are.
package logmark

// A Type is the type of a message, an Indent how deep it stands below others, and a
// PID the process that it is from; 0 is none.
type (
	Type   string
	Indent int
	PID    int
)
