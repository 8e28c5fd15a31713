// Message has two programs exchange a sealed message by files. They share nothing but a key, which is a file too.
//
//	go run ./examples/message seal -dir /tmp/post
//	go run ./examples/message open -dir /tmp/post
//
// feature: N1, N2
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/xenonmp/xme/monitor"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "message:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("message", flag.ContinueOnError)
	dir := flags.String("dir", ".", "the `folder` that both programs see")
	if len(args) == 0 || args[0] != "seal" && args[0] != "open" {
		return errors.New("say what to do: seal or open")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	key, err := readKey(filepath.Join(*dir, "key"), args[0] == "seal")
	if err != nil {
		return err
	}
	mon := monitor.New(monitor.Options{Keys: monitor.NewKeys(key), Context: "examples/message", Window: time.Hour})
	if args[0] == "seal" {
		return seal(ctx, mon, filepath.Join(*dir, "sealed"))
	}
	return open(ctx, mon, filepath.Join(*dir, "sealed"))
}

// readKey reads a key. One that is not there is made, for nobody but this user to read.
func readKey(file string, mayMake bool) (monitor.Key, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) && mayMake {
		key := monitor.NewKey()
		return key, os.WriteFile(file, []byte(key.Text()+"\n"), 0o600)
	}
	if err != nil {
		return monitor.Key{}, err
	}
	return monitor.ParseKey(string(text))
}

func seal(ctx context.Context, mon *monitor.Monitor, file string) error {
	err := mon.Update(ctx, monitor.Put("status", "ready"), monitor.Put("load", []float32{0.25, 0.5}))
	if err != nil {
		return err
	}
	sealed, err := mon.Marshal(ctx)
	if err != nil {
		return err
	}
	fmt.Println("sealed")
	return os.WriteFile(file, sealed, 0o644)
}
