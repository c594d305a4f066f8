package lifecycle_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/internal/lifecycle"
)

func TestGroup(t *testing.T) {
	t.Parallel()

	// Guarantee: Stop ends every goroutine and returns only after the last.
	t.Run("stop waits", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var g lifecycle.Group
			var j journal
			g.Go("loop", func(ctx context.Context) {
				<-ctx.Done()
				<-time.After(time.Minute)
				j.add("ended")
			})
			g.Stop()
			g.Stop()
			j.want(t, "ended")
			if g.Go("late", func(context.Context) { j.add("late") }) {
				t.Error("a stopped group started a goroutine")
			}
		})
	})

	// Guarantee: stopping a group that never ran anything is fine.
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		var g lifecycle.Group
		g.Stop()
	})

	// Guarantee: a panic reaches OnPanic with its name and stack, and ends the
	// context of the others.
	t.Run("panic is reported", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var j journal
			g := lifecycle.Group{OnPanic: func(name string, v any, stack []byte) {
				if !strings.Contains(string(stack), "group_test.go") {
					t.Errorf("stack does not show the culprit:\n%s", stack)
				}
				j.add(name + ": " + v.(string))
			}}
			other := make(chan struct{})
			g.Go("other", func(ctx context.Context) { <-ctx.Done(); close(other) })
			g.Go("bad", func(context.Context) { panic("nil map") })
			<-other
			g.Stop()
			j.want(t, "bad: nil map")
		})
	})
}
