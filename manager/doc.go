// Package manager keeps what the processes of a program share and agree on: objects whose methods any of them calls, tables of values, and locks of five
// kinds with operators who are entitled to them.
package manager
