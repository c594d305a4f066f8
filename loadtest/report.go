package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"tollgate/internal/money"
)

// report sets side by side what callers, the vendor and the ledger have seen of one scenario.
type report struct {
	load   load
	churn  *churn
	limit  int64 // how many requests the budget was for; 0 if it had no say
	vendor int64
	leaked int64 // requests in which the vendor found the caller's key
	ledger booked
	loss   *loss // nil if no edge was lost
}

func (r report) owed() money.Nanos { return money.Nanos(r.vendor) * price }

func (r report) print(out io.Writer) {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }
	row := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("requests", "%d, %.1f a second: %d paid, %d refused for the budget", r.load.requests, r.load.perSecond, r.load.paid, r.load.refused)
	row("latency", "p50 %s, p95 %s, p99 %s", ms(r.load.p50), ms(r.load.p95), ms(r.load.p99))
	if r.churn != nil && r.churn.cycles > 0 {
		row("keys", "%d made, rotated and revoked; refused everywhere after %s at most", r.churn.cycles, ms(r.churn.slowest))
	}
	if r.loss != nil {
		row("loss", "%s", r.loss)
	}
	row("vendor", "%d requests, $%s at $%s each", r.vendor, r.owed(), price)
	row("ledger", "%d requests, $%s", r.ledger.requests, r.ledger.cost)
}

// verdict says all that is wrong.
func (r report) verdict() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, threshold := range r.load.failed {
		fail("k6: %s was missed", threshold)
	}
	if r.load.paid == 0 {
		fail("no request was answered and paid for")
	}
	// An edge that is killed takes answers with it that the vendor has given, and may have written down requests that it did not send.
	var unheard, unsent int64
	if r.loss != nil {
		errs = append(errs, r.loss.verdict(r.load.lost)...)
		unheard, unsent = r.loss.served, r.loss.unsent()
	}
	if r.load.paid+unheard != r.vendor {
		fail("callers got %d paid answers, but the vendor served %d requests", r.load.paid, r.vendor-unheard)
	}
	if r.limit > 0 && r.vendor != r.limit {
		fail("the budget was for %d requests, but the vendor served %d", r.limit, r.vendor)
	}
	if r.ledger.cost < r.owed() || r.ledger.cost > r.owed()+money.Nanos(unsent)*price {
		fail("the ledger has booked $%s, but the vendor's %d requests cost $%s", r.ledger.cost, r.vendor, r.owed())
	}
	if !r.ledger.whole {
		fail("%s later edges still had events that the ledger had not confirmed", bookedTimeout)
	}
	if r.leaked > 0 {
		fail("%d requests brought the caller's key to the vendor", r.leaked)
	}
	return errors.Join(errs...)
}
