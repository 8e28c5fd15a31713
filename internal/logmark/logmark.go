// Package logmark has the values by which an attribute of a log record says how its
// line is to look. Handlers that do not know them print them as what they are.
package logmark

// Type is the type of a message.
type Type string

// Indent is how deep a message stands below others.
type Indent int

// PID is the process that a message is from; 0 is none.
type PID int
