// Package progress shows how far a run of rows is: [Bar] is a hook for
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
// On a terminal it is a bar, drawn anew several times a second. Elsewhere, in a pipe, in a
// file or on a dumb terminal, it is a line now and then, without control characters.
package progress
