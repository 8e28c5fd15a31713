// Program interrupt has rows of all kinds under way until it is interrupted, and prints what becomes of them:
//
//	interrupt GRACE [plain]
//
// plain leaves out xme.Interruptible. Its rows hold the file that it was started with as number 3.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/xenonmp/xme"
)

// files are what a row holds: it may read from In, and Alive is open as long as its process lives.
type files struct{ In, Alive *os.File }

var (
	// hold does not listen to its context: it ends when it can read a byte.
	hold = xme.Register("hold", func(_ context.Context, f files) (int, error) {
		fmt.Println("held row runs")
		_, err := f.In.Read(make([]byte, 1))
		return 42, err
	})
	obey = xme.Register("obey", func(ctx context.Context, _ files) (int, error) {
		fmt.Println("obedient row runs")
		<-ctx.Done()
		return 0, ctx.Err()
	})
	service = xme.Register("service", func(ctx context.Context, _ files) (int, error) {
		fmt.Println("service runs")
		<-ctx.Done()
		return 7, nil
	})
	double = xme.Register("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
)

func main() {
	xme.Init()
	grace, err := time.ParseDuration(os.Args[1])
	if err != nil {
		panic(err)
	}
	ctx, stop := context.Background(), func() {}
	if len(os.Args) == 2 {
		ctx, stop = xme.Interruptible(ctx)
		context.AfterFunc(ctx, func() { fmt.Println("the context has ended:", context.Cause(ctx)) })
	}
	pool, err := xme.Open(context.Background(), xme.Options{Workers: 2, Grace: grace})
	if err != nil {
		panic(err)
	}
	f := files{os.Stdin, os.NewFile(3, "alive")}
	var all sync.WaitGroup
	mapped := make(chan struct{}, 1)
	all.Go(func() {
		rows := 0
		for n, err := range double.Map(ctx, pool, func(yield func(int) bool) {
			if yield(1) {
				fmt.Println("the input blocks")
				select {}
			}
		}) {
			rows++
			fmt.Println("mapped:", n, err)
			mapped <- struct{}{}
		}
		fmt.Println("the map has ended, rows:", rows)
	})
	<-mapped // the rows below take both workers
	all.Go(func() {
		var table xme.Table
		rows := service.With(xme.Service()).Add(&table, xme.Repeat(1, f))
		err := table.Run(ctx, pool)
		values, e := rows.Values()
		fmt.Println("the service has ended:", values, e, errors.Is(err, xme.ErrInterrupted))
	})
	all.Go(func() {
		_, err := obey.With(xme.On(1)).Call(ctx, pool, f)
		fmt.Println("the obedient row has ended:", errors.Is(err, xme.ErrInterrupted), err)
	})
	all.Go(func() {
		for r := range hold.With(xme.On(2)).Unordered(ctx, pool, xme.Repeat(4, f)) {
			fmt.Println("held row", r.Index, "has ended:", r.Value, errors.Is(r.Err, xme.ErrInterrupted), r.Err)
		}
		fmt.Println("no more held rows")
	})
	all.Wait()
	stop()
	_ = pool.Close()
	os.Exit(9)
}
