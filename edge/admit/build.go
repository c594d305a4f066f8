package admit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tollgate/edge/limit"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// newKey makes a key as requests need it. It refuses what pack must not let into a shard.
func newKey(from *eventv1.ShardKey, shared *sharing) (*Key, error) {
	if len(from.GetSha256()) != len(Key{}.hash) {
		return nil, fmt.Errorf("its hash has %d bytes, not %d", len(from.GetSha256()), len(Key{}.hash))
	}
	if from.GetId() == "" {
		return nil, errors.New("it has no id")
	}
	b := builder{}
	b.text.Grow(textOf(from)) // it does not grow again, so that what was cut out of it stays
	k := &Key{hash: [32]byte(from.GetSha256()), ID: b.put(from.GetId())}
	at := b.text.Len()
	k.Name = b.put(subjectOfKey + from.GetName())[len(subjectOfKey):]
	var err error
	if k.Labels, err = labelsOf(from, shared); err != nil {
		return nil, err
	}
	if len(from.GetAccounts()) == 0 {
		return k, nil
	}
	accounts := make([]Account, len(from.GetAccounts()))
	k.Accounts = make([]*Account, len(accounts))
	for i, account := range from.GetAccounts() {
		if i > 0 || !describes(from, i) {
			at = b.text.Len()
			b.text.WriteString(account.GetSubject())
		}
		b.text.WriteString(account.GetBudgetName())
		b.text.WriteString(account.GetScopeName())
		if err := accounts[i].read(account, b.text.String()[at:]); err != nil {
			return nil, err
		}
		k.Accounts[i] = &accounts[i]
	}
	return k, nil
}

// builder has the text of a key in one block.
type builder struct{ text strings.Builder }

const subjectOfKey = "key "

// textOf is how much text newKey will write at most.
func textOf(k *eventv1.ShardKey) int {
	n := len(k.GetId()) + len(subjectOfKey) + len(k.GetName())
	for i, a := range k.GetAccounts() {
		n += len(a.GetBudgetName()) + len(a.GetScopeName())
		if !describes(k, i) {
			n += len(a.GetSubject())
		}
	}
	return n
}

// describes says whether the first account of a key is described by the key's own name, as that of a
// key's own budget is, so that they can share the text.
func describes(k *eventv1.ShardKey, account int) bool {
	name, ok := strings.CutPrefix(k.GetAccounts()[account].GetSubject(), subjectOfKey)
	return account == 0 && ok && name == k.GetName()
}

func (b *builder) put(s string) string {
	at := b.text.Len()
	b.text.WriteString(s)
	return b.text.String()[at:]
}

// labelsKey is what labels that can be shared differ in.
type labelsKey struct {
	team, customer, tags string
	access               access
	rules                rulesKey
}

func labelsOf(from *eventv1.ShardKey, shared *sharing) (*Labels, error) {
	for _, text := range slices.Concat(from.GetEndpointIds(), from.GetTags(), from.GetModels(), from.GetMethods(), from.GetTeamModels()) {
		if strings.Contains(text, "\n") {
			return nil, fmt.Errorf("endpoint id, tag, model or method %q has a line end in it", text)
		}
	}
	rules, err := rulesOf(from)
	if err != nil {
		return nil, err
	}
	key := labelsKey{team: from.GetTeam(), customer: from.GetCustomer(), tags: strings.Join(from.GetTags(), "\n"), rules: keyOfRules(from)}
	if from.GetRestricted() {
		key.access = accessTo(slices.Sorted(slices.Values(from.GetEndpointIds())))
	}
	l := shared.labels(key, from.GetTags(), rules)
	if from.GetExpireUnixMs() == 0 && from.GetRevokeUnixMs() == 0 && len(from.GetLimits()) == 0 {
		return l, nil
	}
	own := *l // it shares the texts all the same
	own.expire, own.revoke = from.GetExpireUnixMs(), from.GetRevokeUnixMs()
	for _, f := range from.GetLimits() {
		m, err := limit.NewLimit(f)
		if err != nil {
			return nil, err
		}
		own.Limits = append(own.Limits, m)
	}
	return &own, nil
}
