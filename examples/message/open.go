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
	switch err := mon.Unmarshal(ctx, changed); {
	case err == nil:
		return errors.New("nobody noticed a changed byte")
	case !errors.Is(err, monitor.ErrTampered):
		return err // for want of the key, say
	}
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
	if err := mon.Unmarshal(ctx, sealed); !errors.Is(err, monitor.ErrReplay) {
		return fmt.Errorf("once more: got %w, not that it came before", err)
	}
	fmt.Println("a changed byte, and the message once more, are refused")
	return nil
}
