package progress_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/progress"
)

var shout = xme.Register("shout", func(_ context.Context, s string) (string, error) { return strings.ToUpper(s), nil })

// A bar shows how far a run is. Here it writes to no terminal, so it is a line now and then. What workers
// print stands above it if Options.Stdout and Stderr of the pool are the bar.
func Example() {
	bar := progress.New(os.Stdout, progress.Options{Name: "words", Every: time.Hour})
	ctx := xme.WithProgress(context.Background(), 2, func(p xme.Progress) {
		p.Elapsed = 0 // as this output is the same each time; a program gives bar.Hook itself
		bar.Hook(p)
	})
	for s, err := range shout.Map(ctx, xme.Inline(), slices.Values([]string{"one", "two"})) {
		if err != nil {
			log.Fatal(err)
		}
		if _, err := fmt.Fprintln(bar, s); err != nil {
			log.Fatal(err)
		}
	}
	if err := bar.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// ONE
	// TWO
	// words: 2/2, 0s
}
