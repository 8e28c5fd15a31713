package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/xenonmp/xme/monitor"
)

// show is items.
func show(ctx context.Context, mon *monitor.Monitor) error {
	all, err := mon.Messages(ctx)
	for key, msg := range all.Items() {
		fmt.Printf("%s: %s\n", key, msg.JSON)
	}
	return err
}

// send is delete, marshal and unmarshal.
func send(ctx context.Context, mon *monitor.Monitor) error {
	if err := mon.Delete(ctx, "a"); err != nil {
		return err
	}
	sealed, err := mon.Marshal(ctx)
	if err != nil {
		return err
	}
	there := monitor.New(monitor.Options{})
	err = errors.Join(monitor.Set(ctx, there, "own", true), there.Unmarshal(ctx, sealed))
	fmt.Println("sent:")
	err = errors.Join(err, show(ctx, there))
	sealed[len(sealed)/2] ^= 1
	fmt.Println("changed on the way:", errors.Is(there.Unmarshal(ctx, sealed), monitor.ErrTampered))
	err = errors.Join(err, there.Clear(ctx))
	n, errLen := there.Len(ctx)
	fmt.Println(n, "messages are left there")
	return errors.Join(err, errLen)
}
