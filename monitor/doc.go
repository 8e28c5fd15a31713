// Package monitor keeps messages that programs exchange, and seals them for the way: a table of JSON values by key that all
// processes of a program see, written as one sealed message that only who has the key can read, and merged from such.
//
//	[Monitor]          the table: Update, Get, Messages, Watch, Delete, Marshal, Unmarshal
//	[Put], [If], …     changes, of which an update makes all or none
//	[Array]            a numeric array of any number of dimensions
//	[Key], [Keys]      what messages are sealed and opened with
//	[Sealer], [Opener] the sealed form alone, of any text
//
// A program; the package's example runs it:
//
//	keys := monitor.NewKeys(monitor.NewKey()) // or nil, among processes of one program
//	mon := monitor.New(monitor.Options{Keys: keys, Context: "weather"})
//	err := mon.Update(ctx, monitor.Put("station", "north"), monitor.Put("grid", [][]float32{{1, 2}, {3, 4}}))
//	…
//	sealed, err := mon.Marshal(ctx)
//	… // any way there
//	there := monitor.New(monitor.Options{Keys: keys, Context: "weather", Window: time.Minute})
//	err = there.Unmarshal(ctx, sealed) // merged, all or nothing; once
//	grid, err := monitor.Get[[][]float32](ctx, there, "grid")
//
// # The table
//
// With a manager it is the manager's message table: the monitor is a field of ordinary arguments, and all tasks see the same messages. Without one it is a
// table of its process, which does not cross; a task may make its own. Changes take the lock of Options, if there is one, and that of the manager's tables.
//
// A message is JSON once it is put, so that every process can show it and every other program read it: what [Put] and [Get] say of types is all that is kept of them. Shared
// lists and maps of a manager stay handles in the table, and are written with what they hold.
//
// # Keys
//
// The processes of a program have one key in common, which is made when its first pool is opened, and handed to workers over their own link, and by them to their workers. With Options.Keys nil it is used.
// It is nowhere else, and ends with the program. Programs that are to understand each other need a key that both were given: [NewKey], or `xme message key`,
// kept in a file that nobody else can read. To change a key, have all open with the new one too, then seal with it, then drop the old one.
//
// # What it holds against
//
// Who has no key can neither read nor change a message, nor have one taken for another purpose if contexts differ. He sees who sends how much and when, and that a message is compressed: its length then tells of its
// content, which matters if he can choose a part of it; Options.Plain leaves that out. Who has the key can write whatever he likes: limits hold against him too. Options.Limit bounds what a message
// may be and what it may expand to, before memory is taken; a message holds 1,048,576 keys at most. A replay is refused with Options.Window only, by each monitor for
// itself: two that open the same message, also two copies of one monitor in two processes, both take it. What is remembered ends with the monitor.
// Clocks that differ by more than a minute, or by the window, have good messages refused.
//
// The form is described in docs/messages.md, with vectors.
package monitor
