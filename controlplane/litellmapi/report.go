package litellmapi

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

func tagOfUser(user string) string { return mapping.Tag(mapping.UserTag, user) }

// splitTags parts the user of a request from the tags that people gave it.
func splitTags(all []string) (user string, tags []string) {
	tags = []string{}
	for _, t := range all {
		switch {
		case strings.HasPrefix(t, mapping.UserTag):
			user = strings.TrimPrefix(t, mapping.UserTag)
		case strings.HasPrefix(t, mapping.OrganizationTag):
		default:
			tags = append(tags, t)
		}
	}
	return user, tags
}

// report puts rows of the books into days, groups and what each consists of.
func (c *call) report(rows []*controlv1.UsageRow, by controlv1.UsageDimension, field, part string) (any, error) {
	type sum struct {
		all   money.Nanos
		parts []any
	}
	days, ids := map[string]map[string]*sum{}, map[string]bool{}
	for _, r := range rows {
		n, err := contract.MoneyFromProto(r.GetCost())
		if err != nil {
			return nil, err
		}
		name := r.GetTeam()
		switch by {
		case controlv1.UsageDimension_USAGE_DIMENSION_CUSTOMER:
			name = r.GetCustomer()
		case controlv1.UsageDimension_USAGE_DIMENSION_KEY:
			name = r.GetKeyId()
			ids[name] = true
		default:
		}
		if days[r.GetDay()] == nil {
			days[r.GetDay()] = map[string]*sum{}
		}
		s := days[r.GetDay()][name]
		if s == nil {
			s = &sum{}
			days[r.GetDay()][name] = s
		}
		if s.all, err = s.all.Add(n); err != nil {
			return nil, err
		}
		s.parts = append(s.parts, object{
			"model": r.GetModel(), "endpoint": r.GetEndpointName(), "spend": amountOf(n), "total_tokens": r.GetUnits(), "api_requests": r.GetRequests(),
		})
	}
	hashes, err := c.Store.KeyHashes(c.ctx, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, day := range slices.Sorted(maps.Keys(days)) {
		groups := []any{}
		for _, name := range slices.Sorted(maps.Keys(days[day])) {
			shown := name
			if ids[name] {
				shown = hex.EncodeToString(hashes[name])
			}
			s := days[day][name]
			groups = append(groups, object{field: shown, "total_spend": amountOf(s.all), "metadata": s.parts})
		}
		out = append(out, object{"group_by_day": day, part: groups})
	}
	return out, nil
}
