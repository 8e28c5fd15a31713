// Logobj is the original's section 1.3.2: each row says the same in a form of its own, by a logger that the task derives from the one it has; the
// last one has a log file too.
//
// Where the original differs: it changes the attributes of an object that it hands to parameters of a certain name.
//
//	go run ./examples/original/logobj logobj.log
//
// feature: L2, L3
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmelog"
)

// form is what a row changes, and Name what the original calls it.
type form struct{ Name, File string }

var fun = xme.Register("fun", func(ctx context.Context, f form) (bool, error) {
	say, err := xmelog.With(xme.Logger(ctx), func(o *xmelog.Options) {
		switch f.Name {
		case "time":
			o.NoTime = true
		case "msgtype":
			o.NoType = true
		case "default_msgtype":
			o.Type = "Message"
		case "processing":
			o.NoPID = true
		case "indent":
			o.NoIndent = true
		case "indent_type, num":
			o.Unit, o.Width = "> ", 2
		case "logfile":
			o.File, o.NoTime, o.Task = f.File, true, true
		}
	})
	if err == nil {
		say.Warn(f.Name, xmelog.Indent(1))
		say.Info(f.Name)
	}
	return err == nil, err
})

func main() {
	xme.Init()
	file := "logobj.log"
	if len(os.Args) > 1 {
		file = os.Args[1]
	}
	if err := run(context.Background(), file); err != nil {
		fmt.Fprintln(os.Stderr, "logobj:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file string) error {
	pool, err := xme.Open(ctx, xme.Options{Workers: 1, Stderr: os.Stdout})
	if err != nil {
		return err
	}
	defer pool.Close()
	names := xme.Array[string]{"as it is", "time", "msgtype", "default_msgtype", "processing", "indent", "indent_type, num", "logfile"}
	for _, err := range fun.Map(ctx, pool, xme.Split(func(i int) form { return form{names.At(i), file} }, names)) {
		if err != nil {
			return err
		}
	}
	return nil
}
