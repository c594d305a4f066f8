package pool

import (
	"sync"
	"time"

	"tollgate/edge/routing"
)

const (
	fewRetries    = 10 // that are allowed however few requests there are
	budgetPercent = 20 // of an endpoint that says nothing else
	budgetBuckets = 10 // of a second each
)

// budget counts the first attempts and the retries of an endpoint in the last ten seconds, so that
// retries cannot multiply the load of a vendor that is in trouble.
type budget struct {
	mu      sync.Mutex // guards buckets
	buckets [budgetBuckets]struct{ second, firsts, retries int64 }
}

// first counts a request's first attempt.
func (b *budget) first(now time.Duration) {
	second := int64(now / time.Second)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(second)
	b.buckets[second%budgetBuckets].firsts++
}

// retry takes one retry, if there is one.
func (b *budget) retry(now time.Duration, percent int64) bool {
	second := int64(now / time.Second)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(second)
	var firsts, retries int64
	for i := range b.buckets {
		if bucket := &b.buckets[i]; bucket.second > second-budgetBuckets {
			firsts += bucket.firsts
			retries += bucket.retries
		}
	}
	if retries >= max(fewRetries, firsts*percent/100) {
		return false
	}
	b.buckets[second%budgetBuckets].retries++
	return true
}

// turn empties the bucket of a second that begins. It needs mu.
func (b *budget) turn(second int64) {
	if bucket := &b.buckets[second%budgetBuckets]; bucket.second != second {
		bucket.second, bucket.firsts, bucket.retries = second, 0, 0
	}
}

// MayRetry takes one from the retries that an endpoint allows at present, if there is one.
func (p *Pools) MayRetry(e *routing.Endpoint) bool {
	percent := int64(budgetPercent)
	if e.Retry != nil {
		percent = int64(e.Retry.BudgetPercent)
	}
	return p.view(e).memory.budget.retry(p.now(), percent)
}
