package fastlane

import "context"

// interruptible is what has to be told that the exchange it works for is over. The call may come from any goroutine and returns
// at once.
type interruptible interface{ interrupted() }

// interrupter is a context that can tell of its end without memory or a goroutine for it. The server's context of a connection is
// one. It is found through what is derived from it for values only:
//
//	Value(interrupterKey) returns the interrupter itself, and Done always the same channel.
type interrupter interface {
	context.Context
	// onEnd has i told when the context ends, or at once if it has ended. There is one at a time: false says that there is
	// another one already, and that i will not be told.
	onEnd(i interruptible) (taken bool)
	// offEnd follows an onEnd that was taken: i is not told any more. Without ok it was told, or is about to be.
	offEnd(i interruptible) (ok bool)
}

// interrupterKey is what an interrupter is found by.
var interrupterKey = new(struct{ _ byte })

// interrupterOf is the interrupter whose end is the end of ctx, or nil: a context that was derived for an earlier end has another
// channel.
func interrupterOf(ctx context.Context) interrupter {
	if i, ok := ctx.Value(interrupterKey).(interrupter); ok && i.Done() == ctx.Done() {
		return i
	}
	return nil
}
