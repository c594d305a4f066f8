package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

const (
	// refusedWithin is how long a revoked key may still be let through.
	refusedWithin = time.Second
	// knownWithin is how long a new secret may take; nothing is promised of it, and the machine is busy.
	knownWithin = 10 * time.Second
)

// churn is what came of keys that were made, rotated and revoked beside the traffic of a scenario.
type churn struct {
	keys    []string // ids
	paid    int64    // requests with them that were answered
	cycles  int
	slowest time.Duration // until a revoked key was refused everywhere
}

// changeKeys makes, rotates and revokes keys until ctx ends. A key that has once been let through is never refused before it is revoked,
// and within a second after that it is refused on every edge for good.
func (s *stack) changeKeys(ctx context.Context) (*churn, error) {
	c := &churn{}
	for ctx.Err() == nil {
		// A cycle that has begun comes to its end, so that what it has paid is known.
		if err := s.cycle(context.WithoutCancel(ctx), c); err != nil {
			return c, fmt.Errorf("key %d: %w", c.cycles+1, err)
		}
		c.cycles++
	}
	return c, nil
}

func (s *stack) cycle(ctx context.Context, c *churn) error {
	made, err := s.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: fmt.Sprintf("churn-%d", c.cycles)})
	if err != nil {
		return err
	}
	id, first := made.GetKey().GetId(), made.GetSecret()
	c.keys = append(c.keys, id)
	if err := s.everywhere(ctx, c, first, true); err != nil {
		return fmt.Errorf("made: %w", err)
	}
	rotated, err := s.keys.RotateKey(ctx, &controlv1.RotateKeyRequest{Key: id, Overlap: durationpb.New(time.Hour)})
	if err != nil {
		return err
	}
	if err := s.everywhere(ctx, c, rotated.GetSecret(), true); err != nil {
		return fmt.Errorf("rotated: %w", err)
	}
	for _, secret := range []string{first, rotated.GetSecret()} {
		for _, gateway := range s.gateways {
			if ok, err := s.use(ctx, c, gateway, secret); err != nil || !ok {
				return errors.Join(err, fmt.Errorf("a secret that works was refused by %s", gateway))
			}
		}
	}
	if _, err := s.keys.RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: id}); err != nil {
		return err
	}
	began := time.Now()
	for _, secret := range []string{first, rotated.GetSecret()} {
		if err := s.everywhere(ctx, c, secret, false); err != nil {
			return fmt.Errorf("revoked: %w", err)
		}
	}
	c.slowest = max(c.slowest, time.Since(began))
	for _, gateway := range s.gateways {
		if ok, err := s.use(ctx, c, gateway, first); err != nil || ok {
			return errors.Join(err, fmt.Errorf("a revoked key was let through again by %s", gateway))
		}
	}
	return nil
}

// everywhere returns once every edge lets a secret through, or none does.
func (s *stack) everywhere(ctx context.Context, c *churn, secret string, through bool) error {
	within := refusedWithin
	if through {
		within = knownWithin
	}
	end := time.Now().Add(within)
	for _, gateway := range s.gateways {
		for {
			ok, err := s.use(ctx, c, gateway, secret)
			if err != nil {
				return err
			}
			if ok == through {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("not in force on %s after %s", gateway, within)
			}
		}
	}
	return nil
}

// caller sends the requests of keys that change.
var caller = &http.Client{Timeout: 10 * time.Second}

// use sends a request and says whether it was let through.
func (s *stack) use(ctx context.Context, c *churn, gateway, secret string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, gateway+"/load/v1/echo", strings.NewReader("{}"))
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := caller.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return false, err
	case resp.StatusCode == http.StatusOK:
		c.paid++
		return true, nil
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return false, nil
	default:
		return false, fmt.Errorf("%s answered %s: %s", gateway, resp.Status, text)
	}
}
