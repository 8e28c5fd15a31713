package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmelog"
)

// weighing is a row's argument.
type weighing struct {
	What string
	N    int
	Own  string // a log file
}

var weigh = xme.Register("weigh", func(ctx context.Context, w weighing) (int, error) {
	say := xme.Logger(ctx)
	if w.Own != "" {
		own, err := xmelog.With(say, func(o *xmelog.Options) {
			o.File, o.NoTime, o.Type, o.Unit, o.Width, o.Task = w.Own, true, "Message", "> ", 1, true
		})
		if err != nil {
			return 0, err
		}
		say = own
	}
	say.Info("weighing "+w.What, slog.Int("n", w.N))
	switch {
	case w.N == 0:
		say.Warn("nothing to weigh")
	case w.N > 1000:
		log.Fatal("the scales broke") //nolint:forbidigo // to show that package log goes the same way
	case w.N > 10:
		say.Info("one by one", xmelog.Indent(1))
		say.Info("the first is heavy", xmelog.Indent(2), xmelog.Type("Note"), "grams", 31.5)
	}
	fmt.Println("printed:", w.What)
	say.Debug("done")
	return w.N, nil
})
