package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/xenonmp/xme/monitor"
)

// open merges the message, and shows that nothing else is.
func open(ctx context.Context, mon *monitor.Monitor, file string) error {
	sealed, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	fmt.Println("a changed byte:", errors.Is(mon.Unmarshal(ctx, changed), monitor.ErrTampered))
	if err := mon.Unmarshal(ctx, sealed); err != nil {
		return err
	}
	status, err := monitor.Get[string](ctx, mon, "status")
	if err != nil {
		return err
	}
	load, err := monitor.Get[[]float32](ctx, mon, "load")
	if err != nil {
		return err
	}
	fmt.Println("status:", status, "load:", load)
	fmt.Println("once more:", errors.Is(mon.Unmarshal(ctx, sealed), monitor.ErrReplay))
	return nil
}
