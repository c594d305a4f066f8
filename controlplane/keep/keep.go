// Package keep looks after what the control plane keeps under the master key: once a process has started it moves everything that
// is still under a key before to the current one, and it deletes values that can no longer be brought back. One process does so at a
// time, a few values at a time, and one that dies in the middle has done what it has done: the next goes on. Nothing of it is a
// change of the configuration.
package keep

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tollgate/controlplane/store"
)

// Vault moves envelopes to the master key.
type Vault interface {
	// Renew makes an envelope under the master key of one that is under a key before it, or nil of one that needs nothing.
	Renew(id string, envelope []byte) ([]byte, error)
}

const (
	every = time.Minute            // between looks
	few   = 50                     // envelopes that are read at a time
	rest  = 100 * time.Millisecond // after so many, so that the database and a KMS have time for others
)

// Keeper looks after the secrets. Make it with New and run it with Run.
type Keeper struct {
	store *store.Store
	vault Vault
	log   *slog.Logger
	every time.Duration
	rest  time.Duration

	moved  bool // everything is under the master key, or cannot be moved
	failed string
}

// New makes a keeper; the store stays its owner's.
func New(st *store.Store, vault Vault, log *slog.Logger) *Keeper {
	return &Keeper{store: st, vault: vault, log: log, every: every, rest: rest}
}

// Run looks after the secrets until ctx ends. Whatever fails is tried again.
func (k *Keeper) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		switch err := k.round(ctx); {
		case err == nil, errors.Is(err, store.ErrNotKeeper):
			k.failed = ""
		case ctx.Err() == nil && err.Error() != k.failed:
			k.failed = err.Error()
			k.log.WarnContext(ctx, "secrets cannot be looked after, trying again", "err", err)
		}
		pause(ctx, k.every)
	}
	return nil
}

func (k *Keeper) round(ctx context.Context) error {
	right, err := k.store.KeepSecrets(ctx)
	if err != nil {
		return err
	}
	defer right.Close()
	if n, err := right.ForgetOld(ctx); err != nil {
		return err
	} else if n > 0 {
		k.log.InfoContext(ctx, "values before the last rotation were deleted", "secrets", n)
	}
	if k.moved {
		return nil
	}
	if err := k.move(ctx, right); err != nil {
		return err
	}
	k.moved = true
	return nil
}

// move goes through all envelopes once. One that no key opens is named and left as it is: the key that it is under may come back.
func (k *Keeper) move(ctx context.Context, right *store.Keeper) error {
	seen, moved, closed := 0, 0, 0
	err := right.EachEnvelope(ctx, few, func(e store.Envelope) error {
		if seen++; seen%few == 0 {
			pause(ctx, k.rest)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		fresh, err := k.vault.Renew(e.ID, e.Data)
		switch {
		case err != nil:
			closed++
			k.log.ErrorContext(ctx, "no master key opens a value: set the key that it is under in old_master_keys, or replace the value", "what", e.Name, "err", err)
			return nil
		case fresh == nil:
			return nil
		}
		moved++
		return right.Replace(ctx, e, fresh)
	})
	if err == nil && moved+closed > 0 {
		k.log.InfoContext(ctx, "values were moved to the master key", "moved", moved, "not_opened", closed, "all", seen)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
