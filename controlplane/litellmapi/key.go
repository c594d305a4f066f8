package litellmapi

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// What keys that are made here look like. LiteLLM's clients check the prefix. A key that a caller chooses is as long as this at
// least, because whoever has its hash can try short ones.
const (
	keyPrefix   = "sk-"
	keyBytes    = 32
	shortestKey = 16
)

// keyKept are fields of keys that change nothing here.
var keyKept = []string{"send_invite_email", "disable_global_guardrails", "tpm_limit_type", "rpm_limit_type", "project_id", "agent_id", "prompts", "enable_prompt_caching", "budget_id"}

func notFound(format string, args ...any) error {
	return fault.New(fault.ObjectNotFound, format, args...)
}

// newSecret makes a key.
func newSecret() string {
	raw := make([]byte, keyBytes)
	rand.Read(raw) // never fails: the runtime ends the process instead
	return keyPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// secret is the key that a request asks for in a field, or a new one.
func (b *body) secret(field string) string {
	text := b.text(field)
	switch {
	case text == "":
		return newSecret()
	case !strings.HasPrefix(text, keyPrefix):
		b.wrong(field, "%s: a virtual key begins with sk-.", field)
	case len(text) < shortestKey || len(text) > 256:
		b.wrong(field, "%s has %d characters: a key that you choose has from %d to 256, so that it cannot be guessed.", field, len(text), shortestKey)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		b.wrong(field, "%s has a character that a header cannot carry as it is.", field)
	}
	return text
}

// keyName is how LiteLLM's clients recognise a key.
func keyName(secret string) string { return keyPrefix + "..." + secret[len(secret)-4:] }

var hexHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// key finds a key by its text, by its hash, by alias or by id. One that was deleted is not there.
func (c *call) key(ref string) (*controlv1.Key, error) {
	none := notFound("Key not found in database. Pass the key, its hash or its alias.")
	hash := ""
	switch {
	case ref == "":
		return nil, missing("key")
	case hexHash.MatchString(ref):
		hash = ref
	case strings.HasPrefix(ref, keyPrefix), strings.HasPrefix(ref, "tgk_"):
		sum := contract.KeyHash([]byte(ref))
		hash = hex.EncodeToString(sum[:])
	}
	if hash != "" {
		id, err := c.Store.KeyOfHash(c.ctx, hash)
		if err == nil {
			return c.liveKey(id, none)
		} else if !is(err, fault.ObjectNotFound) {
			return nil, err
		}
	}
	k, err := c.keyByAlias(ref)
	if k == nil && err == nil {
		return nil, none
	}
	return k, err
}

func (c *call) liveKey(ref string, none error) (*controlv1.Key, error) {
	got, err := c.keys.GetKey(c.ctx, &controlv1.GetKeyRequest{Key: ref})
	if is(err, fault.ObjectNotFound) || err == nil && got.GetKey().GetRevokeTime() != nil {
		return nil, none
	}
	return got.GetKey(), err
}

// mostAliases is how often a name may have been used and deleted.
const mostAliases = 1000

// keyByAlias finds a key that is not revoked by its alias: names of deleted keys stay taken, so a new one has a number behind its
// name. It is nil if there is none.
func (c *call) keyByAlias(alias string) (*controlv1.Key, error) {
	name := alias
	if !strings.HasPrefix(alias, "key_") {
		name = mapping.Name(alias)
	}
	for n := 1; n <= mostAliases && name != ""; n++ {
		got, err := c.keys.GetKey(c.ctx, &controlv1.GetKeyRequest{Key: mapping.Numbered(name, n)})
		if is(err, fault.ObjectNotFound) {
			return nil, nil
		}
		if err != nil || got.GetKey().GetRevokeTime() == nil {
			return got.GetKey(), err
		}
	}
	return nil, nil
}

// freeName is a name for a key with an alias, or one made of its hash.
func (c *call) freeName(alias, hash string) (string, error) {
	name := mapping.Name(alias)
	if name == "" {
		name = "key-" + hash[:12]
	}
	for n := 1; n <= mostAliases; n++ {
		candidate := mapping.Numbered(name, n)
		got, err := c.keys.GetKey(c.ctx, &controlv1.GetKeyRequest{Key: candidate})
		switch {
		case is(err, fault.ObjectNotFound):
			return candidate, nil
		case err != nil:
			return "", err
		case got.GetKey().GetRevokeTime() == nil:
			return "", fault.New(fault.AlreadyExists, "Key with alias '%s' already exists. Unique key aliases across all keys are required.", clip(alias)).
				WithViolations(fault.Violation{Field: "key_alias", Code: "taken", Reason: "Key with alias '" + clip(alias) + "' already exists. Unique key aliases across all keys are required."})
		}
	}
	return "", invalid("key_alias", "The alias was used and deleted too often: choose another.")
}

// keyAsk is what a request wants a key to be. Its mask names what the request mentions.
type keyAsk struct {
	req  *controlv1.UpdateKeyRequest
	note notes
	mask []string
}

// keyAsk reads what key/generate and key/update have in common. old is nil for a new key.
func (c *call) keyAsk(old *controlv1.Key, a *allowance) (*keyAsk, error) {
	b := c.body
	ask := &keyAsk{req: &controlv1.UpdateKeyRequest{}, note: notesOf(old.GetMetadata())}
	set := func(fields ...string) { ask.mask = append(ask.mask, fields...) }
	if b.has("team_id") {
		if id := b.text("team_id"); id != "" {
			t, err := c.team(id)
			if err != nil {
				return nil, err
			}
			ask.req.Team = t.GetName()
		}
		set("team")
	}
	if b.has("tags") || b.has("user_id") || b.has("organization_id") {
		ask.req.Tags = b.keyTags(old.GetTags(), ask.note)
		set("tags")
	}
	if b.has("models") {
		names := b.texts("models")
		if slices.Contains(names, "no-default-models") {
			b.wrong("models", "no-default-models has no counterpart here: name the models that the key may ask for.")
		}
		ask.req.Models = &controlv1.ModelAccess{Names: mapping.Models(names)}
		set("models")
	}
	if b.has("allowed_routes") || b.has("allowed_passthrough_routes") {
		names, restricted, err := c.routes(b)
		if err != nil {
			return nil, err
		}
		for _, field := range routeFields {
			if delete(ask.note.kept, field); !empty(b.fields[field]) {
				ask.note.kept[field] = b.fields[field]
			}
		}
		if restricted {
			ask.req.Endpoints = names
			set("endpoints")
		} else {
			set("restricted")
		}
	}
	if b.has("duration") {
		if text := b.text("duration"); text != "" && text != "-1" {
			end, ok := mapping.Lifetime(text, time.Now())
			if !ok {
				b.wrong("duration", "duration %q is no time such as 30s, 30m, 30h or 30d.", clip(text))
			}
			ask.req.ExpireTime = timestamppb.New(end)
		}
		set("expire_time")
	}
	switch kind := b.text("key_type"); kind {
	case "", "default", "llm_api":
	default:
		b.wrong("key_type", "key_type %q has no counterpart here: what calls this API is a token, not a key.", clip(kind))
	}
	if n := b.amount("spend"); n != nil && *n != 0 {
		b.wrong("spend", "spend is what the ledger has booked and cannot be set.")
	}
	ask.note.read(b)
	if id := b.text("budget_id"); id != "" {
		if err := c.fromPlan(id, a); err != nil {
			return nil, err
		}
	}
	a.keep(ask.note.kept)
	maps.Copy(ask.note.kept, b.rest(keyKept...))
	if b.has("budget_id") && b.text("budget_id") == "" {
		delete(ask.note.kept, "budget_id")
	}
	return ask, b.err()
}

// keyTags are the tags of a key: those that were named, and those of its user and organization.
func (b *body) keyTags(old []string, note notes) []string {
	var tags, own []string
	stands := map[string]string{"user_id": mapping.UserTag, "organization_id": mapping.OrganizationTag}
	for _, t := range old {
		if !strings.HasPrefix(t, mapping.UserTag) && !strings.HasPrefix(t, mapping.OrganizationTag) {
			own = append(own, t)
		}
	}
	if b.has("tags") {
		own = b.texts("tags")
	}
	for _, field := range []string{"user_id", "organization_id"} {
		if b.has(field) {
			id := b.text(field)
			if note.set(field, id); id != "" {
				tags = append(tags, mapping.Tag(stands[field], id))
			}
			continue
		}
		for _, t := range old {
			if strings.HasPrefix(t, stands[field]) {
				tags = append(tags, t)
			}
		}
	}
	return slices.Concat(tags, own)
}

func (c *call) keyServiceAccount() (any, error) {
	if c.body.text("team_id") == "" {
		return nil, invalid("team_id", "team_id is required for service account keys.")
	}
	return c.keyGenerate()
}

func (c *call) keyGenerate() (any, error) {
	b := c.body
	a, alias, secret, blocked := b.allowance(), b.text("key_alias"), b.secret("key"), b.flag("blocked")
	ask, err := c.keyAsk(nil, a)
	if err != nil {
		return nil, err
	}
	sum := contract.KeyHash([]byte(secret))
	name, err := c.freeName(alias, hex.EncodeToString(sum[:]))
	if err != nil {
		return nil, err
	}
	ask.note.set("key_name", keyName(secret))
	ask.note.kept["key_alias"] = alias
	metadata, err := ask.note.proto()
	if err != nil {
		return nil, err
	}
	u := ask.req
	made := &controlv1.CreateKeyRequest{
		Name: name, SecretSha256: sum[:], Team: u.GetTeam(), Tags: u.GetTags(), Models: u.GetModels().GetNames(),
		Endpoints: u.GetEndpoints(), ExpireTime: u.GetExpireTime(), Metadata: metadata, Blocked: blocked != nil && *blocked,
	}
	if a.max != nil {
		made.Budget = &controlv1.DefaultBudget{Amount: contract.MoneyToProto(*a.max), Period: a.period.Period, RollingDays: a.period.Days}
	}
	got, err := c.keys.CreateKey(c.ctx, made)
	if is(err, fault.AlreadyExists) {
		return nil, fault.New(fault.AlreadyExists, "This key is there already, or was and is deleted: a deleted key never comes back. Choose another.")
	} else if err != nil {
		return nil, err
	}
	if err := c.allow(owner{"key", name}, a); err != nil {
		return nil, err
	}
	out := object{"key": secret}
	return c.finishKey(out, got.GetKey().GetId()), nil
}

// finishKey adds a key as it is once the change is made to an answer. In a dry run it stays without.
func (c *call) finishKey(out object, id string) object {
	c.after = func() error {
		k, err := c.liveKey(id, notFound("The key was deleted."))
		if err != nil {
			return err
		}
		info, err := c.describeKey(k)
		maps.Copy(out, info)
		return err
	}
	return out
}

func (c *call) keyUpdate() (any, error) {
	ref := c.body.text("key")
	k, err := c.key(ref)
	if err != nil {
		return nil, err
	}
	if err := c.editKey(k); err != nil {
		return nil, err
	}
	out := object{"key": ref}
	return c.finishKey(out, k.GetId()), nil
}

// editKey makes a key what a request says of it.
func (c *call) editKey(k *controlv1.Key) error {
	b := c.body
	a, blocked := b.allowance(), b.flag("blocked")
	by, until := b.amount("temp_budget_increase"), b.text("temp_budget_expiry")
	if alias := b.text("key_alias"); alias != "" && alias != k.GetName() && alias != notesOf(k.GetMetadata()).text("key_alias") {
		b.wrong("key_alias", "The alias of a key cannot be changed: it is its name.")
	}
	ask, err := c.keyAsk(k, a)
	if err != nil {
		return err
	}
	u := ask.req
	if u.Metadata, err = ask.note.proto(); err != nil {
		return err
	}
	u.Key, u.Etag, u.UpdateMask = k.GetId(), c.match(), &fieldmaskpb.FieldMask{Paths: append(ask.mask, "metadata")}
	if _, err := c.keys.UpdateKey(c.ctx, u); err != nil {
		return err
	}
	if blocked != nil {
		if _, err := c.keys.BlockKey(c.ctx, &controlv1.BlockKeyRequest{Key: k.GetId(), Blocked: *blocked}); err != nil {
			return err
		}
	}
	if err := c.allow(owner{"key", k.GetName()}, a); err != nil || by == nil {
		return err
	}
	end, err := time.Parse(time.RFC3339, until)
	if err != nil {
		return invalid("temp_budget_expiry", "temp_budget_expiry is a time such as 2026-12-01T00:00:00Z, and goes together with temp_budget_increase.")
	}
	h, err := c.holding(owner{"key", k.GetName()}, false)
	if err != nil {
		return err
	}
	if h.main == nil {
		return invalid("temp_budget_increase", "The key has no max_budget to increase.")
	}
	_, err = c.budgets.RaiseBudget(c.ctx, &controlv1.RaiseBudgetRequest{
		Budget: h.main.GetId(), By: contract.MoneyToProto(*by), End: &controlv1.RaiseBudgetRequest_Until{Until: timestamppb.New(end)},
	})
	return err
}

// match is the etag that a request demands; empty for none.
func (c *call) match() string {
	text := strings.Trim(strings.TrimPrefix(strings.TrimSpace(c.r.Header.Get("If-Match")), "W/"), `"`)
	if text == "*" {
		return ""
	}
	return text
}

func (c *call) keyDelete() (any, error) {
	refs, aliases := c.body.texts("keys"), c.body.texts("key_aliases")
	c.body.rest()
	if err := c.body.err(); err != nil {
		return nil, err
	}
	if len(refs)+len(aliases) == 0 {
		return nil, missing("keys")
	}
	for _, ref := range slices.Concat(refs, aliases) {
		k, err := c.key(ref)
		if err != nil {
			return nil, err
		}
		if err := c.disallow(owner{"key", k.GetName()}); err != nil {
			return nil, err
		}
		if _, err := c.keys.RevokeKey(c.ctx, &controlv1.RevokeKeyRequest{Key: k.GetId()}); err != nil {
			return nil, err
		}
	}
	return object{"deleted_keys": slices.Concat(refs, aliases)}, nil
}

func keyBlock(blocked bool) func(*call) (any, error) {
	return func(c *call) (any, error) {
		k, err := c.key(c.body.text("key"))
		if err != nil {
			return nil, err
		}
		if _, err := c.keys.BlockKey(c.ctx, &controlv1.BlockKeyRequest{Key: k.GetId(), Blocked: blocked}); err != nil {
			return nil, err
		}
		out := object{}
		return c.finishKey(out, k.GetId()), nil
	}
}

func (c *call) keyRegenerate() (any, error) {
	b := c.body
	ref := c.r.PathValue("key")
	if named := b.text("key"); ref == "" {
		ref = named
	}
	k, err := c.key(ref)
	if err != nil {
		return nil, err
	}
	secret, grace := b.secret("new_key"), b.text("grace_period")
	overlap := time.Duration(0)
	if grace != "" {
		now := time.Now()
		end, ok := mapping.Lifetime(grace, now)
		if overlap = end.Sub(now); !ok || overlap > 30*24*time.Hour {
			b.wrong("grace_period", "grace_period %q is no time such as 24h, up to 30d.", clip(grace))
		}
	}
	if err := b.err(); err != nil {
		return nil, err
	}
	if err := c.editKey(k); err != nil {
		return nil, err
	}
	sum := contract.KeyHash([]byte(secret))
	got, err := c.keys.RotateKey(c.ctx, &controlv1.RotateKeyRequest{Key: k.GetId(), SecretSha256: sum[:], Overlap: durationpb.New(overlap)})
	if err != nil {
		return nil, err
	}
	note := notesOf(got.GetKey().GetMetadata())
	note.set("key_name", keyName(secret))
	metadata, err := note.proto()
	if err != nil {
		return nil, err
	}
	if _, err := c.keys.UpdateKey(c.ctx, &controlv1.UpdateKeyRequest{
		Key: k.GetId(), Metadata: metadata, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"metadata"}},
	}); err != nil {
		return nil, err
	}
	out := object{"key": secret}
	return c.finishKey(out, k.GetId()), nil
}

func (c *call) keyResetSpend() (any, error) {
	k, err := c.key(c.r.PathValue("key"))
	if err != nil {
		return nil, err
	}
	to := c.body.amount("reset_to")
	if to == nil || *to != 0 {
		return nil, invalid("reset_to", "reset_to is 0: what was spent begins anew.")
	}
	budgets, _, err := c.budgetsOf(owner{"key", k.GetName()}.filter(), false)
	if err != nil {
		return nil, err
	}
	if len(budgets) == 0 {
		return nil, invalid("key", "The key has no budget, and so nothing to reset: its spend is what the ledger has booked.")
	}
	for _, b := range budgets {
		if _, err := c.budgets.ResetBudget(c.ctx, &controlv1.ResetBudgetRequest{Budget: b.GetId()}); err != nil {
			return nil, err
		}
	}
	out := object{}
	return c.finishKey(out, k.GetId()), nil
}
