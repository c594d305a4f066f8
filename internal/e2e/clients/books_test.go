package clients_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"testing"
)

// record is a request as the books have it.
type record struct {
	RequestID string `json:"requestId"`
	Attempt   int    `json:"attempt"`
	Status    int    `json:"status"`
	Outcome   string `json:"outcome"`
	Cost      struct {
		Amount string `json:"amount"`
	} `json:"cost"`
	Deployment string            `json:"deployment"`
	Meter      string            `json:"meter"`
	Model      string            `json:"model"`
	Counts     map[string]string `json:"counts"`
	Unpriced   bool              `json:"unpriced"`
}

// checkBooks compares what the vendor has seen of a route with what was booked: each call once, with its
// status, at the price if it was answered well and did not only read, and in total the same.
func checkBooks(t *testing.T, route string) {
	t.Helper()
	var seen []int
	free := 0 // what only reads
	for _, c := range theVendor.calls(route) {
		seen = append(seen, c.Status)
		if c.Method == "GET" && c.Status < 400 {
			free++
		}
	}
	slices.Sort(seen)
	compareBooks(t, route, free, func(booked []record) error {
		var have []int
		for _, b := range booked {
			have = append(have, b.Status)
			if b.Outcome == "unreachable" {
				return fmt.Errorf("the vendor was always there: %+v", b)
			}
		}
		slices.Sort(have)
		if !slices.Equal(seen, have) {
			return fmt.Errorf("%d calls with status %v, %d records with %v", len(seen), seen, len(have), have)
		}
		return nil
	})
}

// compareBooks compares the books of a route, once they are complete, with what its caller knows about them: so many of
// its requests were answered well and cost nothing.
func compareBooks(t *testing.T, route string, free int, compare func(booked []record) error) {
	t.Helper()
	if err := eventually(func() error { return readBooks(t, route, free, compare) }); err != nil {
		t.Errorf("the books: %v", err)
	}
}

func readBooks(t *testing.T, route string, free int, compare func(booked []record) error) error {
	var booked []record
	// The test's context has ended when its books are closed.
	out, err := theGateway.cli(context.WithoutCancel(t.Context()), "requests", "list", "--endpoint", route, "--limit", "1000", "-o", "json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), &booked); err != nil {
		return err
	}
	sum, once := new(big.Rat), map[string]bool{}
	each, _ := new(big.Rat).SetString(price)
	want := new(big.Rat).Mul(each, big.NewRat(int64(-free), 1))
	for _, b := range booked {
		// What never was answered was sent, so that the vendor may charge it. Only a target that broke off
		// before it answered costs nothing.
		if b.Status < 400 && b.Outcome != "unreachable" {
			want.Add(want, each)
		}
		cost, ok := new(big.Rat).SetString(b.Cost.Amount)
		if !ok {
			return fmt.Errorf("%+v: no amount", b)
		}
		sum.Add(sum, cost)
		attempt := fmt.Sprint(b.RequestID, b.Attempt)
		if once[attempt] {
			return fmt.Errorf("%s is booked twice", attempt)
		}
		once[attempt] = true
	}
	if err := compare(booked); err != nil {
		return err
	}
	if sum.Cmp(want) != 0 {
		return fmt.Errorf("%s in place of %s for %+v", sum.FloatString(4), want.FloatString(4), booked)
	}
	return nil
}
