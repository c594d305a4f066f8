package litellmapi

import (
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
)

// describeKey is a key as LiteLLM's replies have it.
func (c *call) describeKey(k *controlv1.Key) (object, error) {
	all, err := c.describeKeys([]*controlv1.Key{k})
	if err != nil {
		return nil, err
	}
	c.etag = k.GetEtag()
	return all[0], nil
}

func (c *call) describeKeys(all []*controlv1.Key) ([]object, error) {
	ids, names := make([]string, len(all)), make([]string, len(all))
	for i, k := range all {
		ids[i], names[i] = k.GetId(), k.GetName()
	}
	hashes, err := c.Store.KeyHashes(c.ctx, ids)
	if err != nil {
		return nil, err
	}
	holdings, err := c.holdings("key", names, true)
	if err != nil {
		return nil, err
	}
	spent := &ever{c: c, by: controlv1.UsageDimension_USAGE_DIMENSION_KEY}
	if len(all) == 1 {
		spent.only = &controlv1.QueryUsageRequest{Key: all[0].GetId()}
	}
	teams, err := c.allTeams()
	if err != nil {
		return nil, err
	}
	out := make([]object, len(all))
	for i, k := range all {
		n, err := spent.of(holdings[k.GetName()], k.GetId())
		if err != nil {
			return nil, err
		}
		if out[i], err = keyObject(k, hashes[k.GetId()], holdings[k.GetName()], n); err != nil {
			return nil, err
		}
		if t := teams[k.GetTeam()]; t != nil {
			out[i]["team_id"] = teamID(t)
		}
	}
	return out, nil
}

// ever is what objects without a budget have spent since there are books, asked for once.
type ever struct {
	c    *call
	by   controlv1.UsageDimension
	only *controlv1.QueryUsageRequest // narrows the question
	all  map[string]money.Nanos
}

// of is what an object has spent: in its budget's period, or ever if it has none.
func (e *ever) of(h *holding, name string) (money.Nanos, error) {
	if n, ok, err := h.spent(); ok || err != nil {
		return n, err
	}
	if e.all == nil {
		if e.only == nil {
			e.only = &controlv1.QueryUsageRequest{}
		}
		var err error
		if e.all, err = e.c.spentIn(e.only, e.by); err != nil {
			return 0, err
		}
	}
	return e.all[name], nil
}

func keyObject(k *controlv1.Key, hash []byte, h *holding, spent money.Nanos) (object, error) {
	note := notesOf(k.GetMetadata())
	token := hex.EncodeToString(hash)
	name := note.text("key_name")
	if name == "" && k.GetSuffix() != "" {
		name = k.GetPrefix() + "..." + k.GetSuffix()
	}
	out := object{
		"token": token, "token_id": token, "key_name": name, "key_alias": k.GetName(), "spend": amountOf(spent),
		"models": texts(k.GetModels()), "aliases": object{}, "config": object{}, "permissions": object{}, "router_settings": nil,
		"user_id": nil, "organization_id": nil, "team_id": nil, "project_id": nil, "agent_id": nil, "metadata": note.own, "tags": nil,
		"expires": nil, "blocked": k.GetBlocked(), "created_at": stamp(k.GetCreateTime().AsTime()), "model_spend": object{},
		"model_max_budget": object{}, "allowed_cache_controls": []any{}, "allowed_routes": []any{}, "budget_id": nil,
		"litellm_budget_table": nil, "tollgate_id": k.GetId(),
	}
	if alias, ok := note.kept["key_alias"].(string); ok {
		if out["key_alias"] = alias; alias == "" {
			out["key_alias"] = nil
		}
	}
	var own []string
	for _, t := range k.GetTags() {
		switch {
		case strings.HasPrefix(t, mapping.UserTag):
			out["user_id"] = strings.TrimPrefix(t, mapping.UserTag)
		case strings.HasPrefix(t, mapping.OrganizationTag):
			out["organization_id"] = strings.TrimPrefix(t, mapping.OrganizationTag)
		default:
			own = append(own, t)
		}
	}
	out["tags"] = texts(own)
	for _, name := range slices.Concat(keyKept, []string{"user_id", "organization_id"}) {
		if v, ok := note.kept[name]; ok {
			out[name] = v
		}
	}
	if k.GetExpireTime() != nil {
		out["expires"] = stamp(k.GetExpireTime().AsTime())
	}
	describeRoutes(out, note, k.GetRestricted(), k.GetEndpoints())
	return out, h.describe(out, note.kept)
}

// texts is a list that is [] and not null where it is empty.
func texts(all []string) []string { return append([]string{}, all...) }

func (c *call) keyInfo() (any, error) {
	ref := c.r.URL.Query().Get("key")
	k, err := c.key(ref)
	if err != nil {
		return nil, err
	}
	info, err := c.describeKey(k)
	return object{"key": ref, "info": info}, err
}

// sheet is which part of a list is asked for.
type sheet struct{ page, size int }

func (c *call) sheet(size, most int) (sheet, error) {
	s := sheet{1, size}
	q := c.r.URL.Query()
	for name, to := range map[string]*int{"page": &s.page, "size": &s.size, "page_size": &s.size} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return s, invalid(name, "%s is a number from 1.", name)
		}
		*to = n
	}
	if s.size > most {
		return s, invalid("size", "size is at most %d.", most)
	}
	return s, nil
}

func cutOut[T any](s sheet, all []T) []T {
	from := min((min(s.page, len(all)+1)-1)*s.size, len(all))
	return all[from:min(from+s.size, len(all))]
}

func (s sheet) pages(n int) int { return (n + s.size - 1) / s.size }

// listKeys lists keys that are not deleted.
func (c *call) listKeys(filter, order string) ([]*controlv1.Key, error) {
	var all []*controlv1.Key
	req := &controlv1.ListKeysRequest{PageSize: 1000, Filter: strings.TrimSpace("-status:revoked " + filter), OrderBy: order}
	for range mostPages {
		page, err := c.keys.ListKeys(c.ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetKeys()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	return all, nil
}

func (c *call) keyList() (any, error) {
	q := c.r.URL.Query()
	s, err := c.sheet(10, 100)
	if err != nil {
		return nil, err
	}
	filter, order, err := c.keyFilter(q)
	if err != nil {
		return nil, err
	}
	all, err := c.listKeys(filter, order)
	if err != nil {
		return nil, err
	}
	if alias, hash := q.Get("key_alias"), q.Get("key_hash"); alias != "" || hash != "" {
		ref := alias
		if ref == "" {
			ref = hash
		}
		one, err := c.key(ref)
		if err != nil && faultOf(err).Status() != 404 {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(k *controlv1.Key) bool { return k.GetId() != one.GetId() })
	}
	part := cutOut(s, all)
	var keys any
	if full, _ := strconv.ParseBool(q.Get("return_full_object")); full {
		if keys, err = c.describeKeys(part); err != nil {
			return nil, err
		}
	} else {
		ids := make([]string, len(part))
		for i, k := range part {
			ids[i] = k.GetId()
		}
		hashes, err := c.Store.KeyHashes(c.ctx, ids)
		if err != nil {
			return nil, err
		}
		tokens := []string{}
		for _, id := range ids {
			tokens = append(tokens, hex.EncodeToString(hashes[id]))
		}
		keys = tokens
	}
	return object{"keys": keys, "total_count": len(all), "current_page": s.page, "total_pages": s.pages(len(all))}, nil
}

func (c *call) keyFilter(q url.Values) (filter, order string, err error) {
	var words []string
	if id := q.Get("team_id"); id != "" {
		t, err := c.team(id)
		if err != nil {
			return "", "", err
		}
		words = append(words, "team:"+quoted(t.GetName()))
	}
	for field, prefix := range map[string]string{"user_id": mapping.UserTag, "organization_id": mapping.OrganizationTag} {
		if id := q.Get(field); id != "" {
			words = append(words, "tag:"+quoted(mapping.Tag(prefix, id)))
		}
	}
	slices.Sort(words)
	switch by := q.Get("sort_by"); by {
	case "", "created_at":
		order = "create_time"
	case "key_alias":
		order = "name"
	case "expires":
		order = "expire_time"
	default:
		return "", "", invalid("sort_by", "sort_by is created_at, key_alias or expires.")
	}
	switch q.Get("sort_order") {
	case "", "desc":
		order = "-" + order
	case "asc":
	default:
		return "", "", invalid("sort_order", "sort_order is asc or desc.")
	}
	return strings.Join(words, " "), order, nil
}

func (c *call) keyAliases() (any, error) {
	s, err := c.sheet(50, 1000)
	if err != nil {
		return nil, err
	}
	all, err := c.listKeys("", "name")
	if err != nil {
		return nil, err
	}
	aliases := []string{}
	for _, k := range all {
		alias, ok := notesOf(k.GetMetadata()).kept["key_alias"].(string)
		if !ok {
			alias = k.GetName()
		}
		if alias != "" && strings.Contains(alias, c.r.URL.Query().Get("search")) {
			aliases = append(aliases, alias)
		}
	}
	return object{
		"aliases": cutOut(s, aliases), "total_count": len(aliases), "current_page": s.page, "total_pages": s.pages(len(aliases)), "size": s.size,
	}, nil
}
