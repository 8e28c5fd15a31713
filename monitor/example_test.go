package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/xenonmp/xme/monitor"
)

func Example() {
	ctx := context.Background()
	keys := monitor.NewKeys(monitor.NewKey())
	mon := monitor.New(monitor.Options{Keys: keys, Context: "weather"})
	if err := mon.Update(ctx, monitor.Put("station", "north"), monitor.Put("grid", [][]float32{{1, 2}, {3, 4}})); err != nil {
		log.Fatal(err)
	}
	sealed, err := mon.Marshal(ctx)
	if err != nil {
		log.Fatal(err)
	}

	there := monitor.New(monitor.Options{Keys: keys, Context: "weather", Window: time.Minute})
	if err := there.Unmarshal(ctx, sealed); err != nil {
		log.Fatal(err)
	}
	grid, err := monitor.Get[[][]float32](ctx, there, "grid")
	fmt.Println(grid, err)
	all, err := there.Messages(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for key, msg := range all.Items() {
		fmt.Printf("%s: %s\n", key, msg.JSON)
	}
	fmt.Println(errors.Is(there.Unmarshal(ctx, sealed), monitor.ErrReplay))
	// Output:
	// [[1 2] [3 4]] <nil>
	// grid: {"$array":"float32","shape":[2,2],"data":[1,2,3,4]}
	// station: "north"
	// true
}
