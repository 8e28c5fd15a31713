// Package monitor keeps messages that programs exchange, and seals them for the way: a table of JSON values by key that all
// processes of a program see, written as one sealed message that only who has the key can read, and merged from such.
package monitor
