package source

import (
	"context"

	"tollgate/controlplane/litellm"
	"tollgate/controlplane/litellm/store"
	"tollgate/internal/config"
	"tollgate/internal/fault"
)

// ReadDatabase reads LiteLLM's database by its URL.
func ReadDatabase(ctx context.Context, url config.Secret) (*litellm.Records, error) {
	tables, err := store.Read(ctx, url.Reveal(), Tables())
	if err == nil {
		var r *litellm.Records
		if r, err = OfTables("database", tables); err == nil {
			return r, nil
		}
	}
	return nil, fault.New(fault.UnavailableErr, "LiteLLM's database cannot be read: %v.", err).
		WithHint("Check its URL, and that its user may read LiteLLM's tables. Nothing was imported.")
}
