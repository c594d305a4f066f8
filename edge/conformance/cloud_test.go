package conformance_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
	"tollgate/internal/testenv/cloud"
)

// books are a cloud and the settlements that have come, by key.
type books struct {
	*cloud.Cloud

	mu     sync.Mutex // guards what follows
	events map[string][]string
	change chan struct{}
}

func newBooks(t *testing.T) *books {
	t.Helper()
	b := &books{events: map[string][]string{}, change: make(chan struct{})}
	b.Cloud = cloud.New(t, cloud.Options{Booked: b.book})
	return b
}

func (b *books) book(_ int64, e *eventv1.SpendEvent) {
	if e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_CLOSE {
		return
	}
	const prefix = len("SPEND_OUTCOME_")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events[e.GetKeyId()] = append(b.events[e.GetKeyId()], fmt.Sprintf("%d %s %s", e.GetStatus(), e.GetOutcome().String()[prefix:], money.Nanos(e.GetCostNanos())))
	close(b.change)
	b.change = make(chan struct{})
}

// settled waits for so many settlements of a key.
func (b *books) settled(ctx context.Context, key string, n int) []string {
	for {
		b.mu.Lock()
		got, change := b.events[key], b.change
		b.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-change:
		case <-ctx.Done():
			return got
		}
	}
}
