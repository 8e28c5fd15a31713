package xme_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/xmetest"
)

// What can only be a mistake panics on the caller's goroutine, with a text that says what
// of which call is wrong, and what to do.
//
// feature: S11
func TestMistakesSayWhich(t *testing.T) {
	t.Parallel()
	pool := xmetest.Open(t, xme.Options{Workers: 1})
	future := square.Go(t.Context(), pool, 3)
	var (
		ctx  = t.Context()
		null context.Context
		none xme.CallOption
		fn   *xme.Func[int, int]
		zero xme.Func[int, int]
		shut xme.Pool
		lost *xme.Pool
		tab  xme.Table
		wait xme.Future[int]
		gone *xme.Future[int]
	)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	const (
		noContext = ": nil context: pass the one at hand, or context.Background()"
		noInput   = ": nil sequence: pass what yields the values"
		zeroFunc  = "xme: use of a zero Func: use the *Func that Register returned"
		nilFunc   = "xme: use of a nil *Func: assign what Register returned"
		zeroPool  = "xme: use of a zero Pool: use the *Pool that Open returned"
	)
	for name, tc := range map[string]struct {
		do   func()
		want string
	}{
		"With, nil option": {func() { square.With(xme.Fresh(), none) }, "xme: square.With: option 2 is nil"},
		"With, nil Func":   {func() { fn.With() }, nilFunc},
		"With, zero Func":  {func() { zero.With(xme.Fresh()) }, zeroFunc},

		"Call, nil context":        {func() { _, _ = square.Call(null, pool, 1) }, "xme: square.Call" + noContext},
		"Call inline, nil context": {func() { _, _ = square.Call(null, xme.Inline(), 1) }, "xme: square.Call" + noContext},
		"Go, nil context":          {func() { square.Go(null, pool, 1) }, "xme: square.Go" + noContext},
		"Broadcast, nil context":   {func() { square.Broadcast(null, pool, 1) }, "xme: square.Broadcast" + noContext},
		"Map, nil context":         {func() { square.Map(null, pool, count(1)) }, "xme: square.Map" + noContext},
		"Unordered, nil context":   {func() { square.Unordered(null, pool, count(1)) }, "xme: square.Unordered" + noContext},
		"Run, nil context":         {func() { _ = new(xme.Table).Run(null, pool) }, "xme: Table.Run" + noContext},
		"Wait, nil context":        {func() { _, _ = future.Wait(null) }, "xme: Future.Wait" + noContext},
		"Open, nil context":        {func() { _, _ = xme.Open(null, xme.Options{}) }, "xme: Open" + noContext},

		"Serve, nil context":    {func() { _, _ = xme.Serve(null, square.Name(), nil) }, "xme: Serve" + noContext},
		"Call.Run, nil context": {func() { square.Go(ctx, runsUnderNothing{}, 1) }, "xme: Call.Run" + noContext},

		"Map, nil sequence":       {func() { square.Map(ctx, pool, nil) }, "xme: square.Map" + noInput},
		"Unordered, nil sequence": {func() { square.Unordered(ctx, pool, nil) }, "xme: square.Unordered" + noInput},
		"Add, nil sequence":       {func() { square.Add(&tab, nil) }, "xme: square.Add" + noInput},
		"Add, nil table":          {func() { square.Add(nil, count(1)) }, "xme: square.Add to a nil *Table: give it the address of a Table"},

		"Call, nil Func":       {func() { _, _ = fn.Call(ctx, pool, 1) }, nilFunc},
		"Call, zero Func":      {func() { _, _ = zero.Call(ctx, pool, 1) }, zeroFunc},
		"Go, zero Func":        {func() { zero.Go(ctx, pool, 1) }, zeroFunc},
		"Broadcast, zero Func": {func() { zero.Broadcast(ctx, pool, 1) }, zeroFunc},
		"Map, zero Func":       {func() { zero.Map(ctx, pool, count(1)) }, zeroFunc},
		"Unordered, nil Func":  {func() { fn.Unordered(ctx, pool, count(1)) }, nilFunc},
		"Add, zero Func":       {func() { zero.Add(&tab, count(1)) }, zeroFunc},
		"Setup, zero Func":     {func() { zero.Setup(1) }, zeroFunc},
		"Name, zero Func":      {func() { _ = zero.Name() }, zeroFunc},

		"Call, zero Pool": {func() { _, _ = square.Call(ctx, &shut, 1) }, "xme: square.Call on a zero Pool: use the *Pool that Open returned"},
		"Call, nil Pool":  {func() { _, _ = square.Call(ctx, lost, 1) }, "xme: square.Call on a nil executor: has Open returned an error?"},
		"Map, zero Pool":  {func() { square.Map(ctx, &shut, count(1)) }, "xme: square.Map on a zero Pool"},
		"Run, zero Pool":  {func() { _ = new(xme.Table).Run(ctx, &shut) }, "xme: Table.Run on a zero Pool"},
		"Close":           {func() { _ = shut.Close() }, zeroPool},
		"Close, nil Pool": {func() { _ = lost.Close() }, "xme: use of a nil *Pool: has Open returned an error?"},
		"Shutdown":        {func() { _ = shut.Shutdown(ctx) }, zeroPool},
		"Ranks":           {func() { shut.Ranks() }, zeroPool},
		"Workers":         {func() { shut.Workers() }, zeroPool},
		"Retire":          {func() { _ = shut.Retire(ctx) }, zeroPool},
		"Watch":           {func() { shut.Watch(ctx) }, zeroPool},
		"Stats":           {func() { shut.Stats() }, zeroPool},
		"Summary":         {func() { shut.Summary() }, zeroPool},

		"Wait, zero Future": {func() { _, _ = wait.Wait(ended) }, "xme: use of a zero Future: use what Go returned"},
		"Done, zero Future": {func() { wait.Done() }, "xme: use of a zero Future: use what Go returned"},
		"Wait, nil Future":  {func() { _, _ = gone.Wait(ended) }, "xme: use of a nil *Future: use what Go returned"},
	} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.HasPrefix(msg, tc.want) {
					t.Errorf("%s: panic %q, want %q", name, msg, tc.want)
				}
			}()
			tc.do()
		}()
	}
	if n, err := future.Wait(ctx); n != 9 || err != nil {
		t.Error(n, err)
	}
	for n, err := range square.Map(ctx, pool, slices.Values([]int(nil))) {
		t.Error("a row of no input:", n, err)
	}
}
