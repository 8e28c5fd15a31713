// Package progress shows how far a run of rows has come: [Bar] provides a hook for
// [xme.WithProgress].
//
//	bar := progress.New(os.Stderr, progress.Options{Name: "resizing"})
//	defer bar.Close()
//	pool, err := xme.Open(ctx, xme.Options{Stdout: bar, Stderr: bar}) // their lines stand above it
//	…
//	ctx = xme.WithProgress(ctx, len(images), bar.Hook)
//	for out, err := range resize.Map(ctx, pool, slices.Values(images)) { … }
//
// # Where it writes
//
// On a terminal it draws a bar, several times a second. Elsewhere (a pipe, a file, a dumb
// terminal) it writes a line now and then, without control characters.
package progress
