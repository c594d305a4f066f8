package store

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"tollgate/controlplane/registry"
)

// readKeys reads the keys of c.KeyShards, each with the budgets and limits that its requests come to
// whatever they say of themselves.
func (c *Config) readKeys(ctx context.Context, tx pgx.Tx) (err error) {
	c.Keys, err = list(ctx, tx, "keys", func(row pgx.CollectableRow) (PublishedKey, error) {
		var k PublishedKey
		err := row.Scan(&k.Shard, &k.SHA256, &k.ID, &k.Name, &k.Expires, &k.Revoked, &k.Restricted, &k.EndpointIDs,
			&k.TeamID, &k.Team, &k.Customer, &k.Tags, &k.Models, &k.TeamModels, &k.Blocked, &k.Methods, &k.Networks, &k.Ends, &k.Counted)
		return k, err
	}, selectPublishedKeys, c.KeyShards)
	if err != nil {
		return err
	}
	teams, customers, tags := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range c.Keys {
		k := &c.Keys[i]
		if k.TeamID != "" {
			teams[k.TeamID] = true
		}
		if k.Customer != "" {
			customers[k.Customer] = true
		}
		for _, tag := range k.Tags {
			tags[tag] = true
		}
	}
	labels := []any{slices.Collect(maps.Keys(teams)), slices.Collect(maps.Keys(customers)), slices.Collect(maps.Keys(tags))}
	budgets, err := byScope(ctx, tx, "budgets of keys", c.KeyShards, labels, selectKeyBudgets, selectLabelBudgets, scanBudget,
		func(b *registry.Budget) *registry.Scoped { return &b.Scoped })
	if err != nil {
		return err
	}
	limits, err := byScope(ctx, tx, "limits of keys", c.KeyShards, labels, selectKeyLimits, selectLabelLimits, scanLimit,
		func(l *registry.Limit) *registry.Scoped { return &l.Scoped })
	if err != nil {
		return err
	}
	for i := range c.Keys {
		k := &c.Keys[i]
		for _, s := range k.scopes() {
			k.Budgets = append(k.Budgets, budgets[s]...)
			k.Limits = append(k.Limits, limits[s]...)
		}
		slices.SortFunc(k.Budgets, func(a, b *registry.Budget) int { return cmp.Compare(a.AccountID, b.AccountID) })
		slices.SortFunc(k.Limits, func(a, b *registry.Limit) int { return cmp.Compare(a.Number, b.Number) })
	}
	return nil
}

// scopeRef is a scope by what identifies it: an id, or the name of a customer or tag.
type scopeRef struct {
	scope registry.Scope
	ref   string
}

func (k *PublishedKey) scopes() []scopeRef {
	out := []scopeRef{{registry.ScopeKey, k.ID}}
	if k.TeamID != "" {
		out = append(out, scopeRef{registry.ScopeTeam, k.TeamID})
	}
	if k.Customer != "" {
		out = append(out, scopeRef{registry.ScopeCustomer, k.Customer})
	}
	for _, tag := range k.Tags {
		out = append(out, scopeRef{registry.ScopeTag, tag})
	}
	return out
}

// byScope reads what applies to keys in shards, and to the teams, customers and tags in labels.
func byScope[T any](ctx context.Context, tx pgx.Tx, what string, shards []uint32, labels []any, ofKeys, ofLabels string,
	scan pgx.RowToFunc[T], scoped func(*T) *registry.Scoped,
) (map[scopeRef][]*T, error) {
	own, err := list(ctx, tx, what, scan, ofKeys, shards)
	if err != nil {
		return nil, err
	}
	shared, err := list(ctx, tx, what, scan, ofLabels, labels...)
	if err != nil {
		return nil, err
	}
	out := map[scopeRef][]*T{}
	for _, all := range [][]T{own, shared} {
		for i := range all {
			s := scoped(&all[i])
			ref := scopeRef{s.Scope, s.ScopeID}
			if ref.ref == "" {
				ref.ref = s.ScopeName
			}
			out[ref] = append(out[ref], &all[i])
		}
	}
	return out, nil
}
