// Package monitor keeps messages that programs exchange, and seals them for transport: a table of
// JSON values by key that all processes of a program see, which can be written as one sealed
// message that only those with the key can read, and into which such messages can be merged.
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
// With a manager it is the manager's message table: the monitor can be a field of ordinary
// arguments, and all tasks see the same messages. Without one it is a table of its process, which
// does not cross; a task may make its own. Changes take the lock in Options, if there is one, and
// that of the manager's tables.
//
// A message is JSON once it is put, so that every process can show it and any other program can
// read it: of types, only what [Put] and [Get] describe is kept. Shared lists and maps of a manager
// stay handles in the table, and are written with their contents.
//
// # Keys
//
// The processes of a program have one key in common. It is made when the program's first pool is
// opened, and handed to workers over their own link, and by them to their workers. It is used if
// Options.Keys is nil. It is nowhere else, and ends with the program. Programs that are to
// understand each other need a key given to both: [NewKey], or `xme message key`, kept in a file
// that nobody else can read. To change a key, first let all programs open with the new one too,
// then seal with it, then drop the old one.
//
// # Security
//
// Without the key nobody can read or change a message, nor pass one off for another purpose if
// contexts differ. An observer sees who sends how much and when, and that a message is compressed:
// its length then depends on its content, which matters if the observer can choose part of it;
// Options.Plain turns compression off. Whoever has the key can write anything: limits apply to them
// too. Options.Limit bounds the size of a message and what it may expand to, before memory is
// taken; a message holds at most 1,048,576 keys. A replay is refused only with Options.Window, and
// by each monitor separately: if two open the same message, even two copies of one monitor in two
// processes, both accept it. What is remembered ends with the monitor. If clocks differ by more
// than a minute, or by the window, good messages are refused.
//
// The format is described in docs/messages.md, with test vectors.
package monitor
