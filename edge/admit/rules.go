package admit

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// rules is what only some keys have. Keys with the same labels share them.
type rules struct {
	blocked    bool
	counted    bool
	sunset     int64  // Unix milliseconds at which an old secret stops; 0 for one without an end
	methods    access // the same form as endpoints
	models     models // that it may ask for
	teamModels models // that the keys of its team may ask for
	networks   []netip.Prefix
	said       string // the networks as they were written, by which rules are told apart
}

// rulesKey is what rules differ in.
type rulesKey struct {
	blocked, counted bool
	sunset           int64
	methods          access
	models           models
	teamModels       models
	networks         string
}

func keyOfRules(from *eventv1.ShardKey) rulesKey {
	key := rulesKey{
		blocked: from.GetBlocked(), counted: from.GetCounted(), sunset: from.GetSunsetUnixMs(),
		models:     modelsOf(slices.Sorted(slices.Values(from.GetModels()))),
		teamModels: modelsOf(slices.Sorted(slices.Values(from.GetTeamModels()))),
		networks:   strings.Join(slices.Sorted(slices.Values(from.GetNetworks())), ", "),
	}
	if methods := from.GetMethods(); len(methods) > 0 {
		key.methods = accessTo(slices.Sorted(slices.Values(methods)))
	}
	return key
}

// rulesOf is nil where there are none.
func rulesOf(from *eventv1.ShardKey) (*rules, error) {
	key := keyOfRules(from)
	if key == (rulesKey{}) {
		return nil, nil
	}
	r := &rules{
		blocked: key.blocked, counted: key.counted, sunset: key.sunset, methods: key.methods, models: key.models, teamModels: key.teamModels, said: key.networks,
	}
	for _, text := range from.GetNetworks() {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("network %q: %w", text, err)
		}
		r.networks = append(r.networks, p.Masked())
	}
	return r, nil
}

// check says what the rules have against a request of the key with the name.
func (r *rules) check(name string, ask *Ask) error {
	if !r.methods.allows(ask.Method) {
		return fault.New(fault.KeyNotAllowed, "Key %s can't be used for %s requests.", name, ask.Method).
			WithHint("Ask your gateway admin to allow this method for the key.")
	}
	if len(r.networks) == 0 || ask.FromAnywhere {
		return nil
	}
	from := ask.From.Unmap().WithZone("")
	for _, n := range r.networks {
		if n.Contains(from) {
			return nil
		}
	}
	where := "an address that is not known"
	if from.IsValid() {
		where = from.String()
	}
	return fault.New(fault.KeyNotAllowed, "Key %s can't be used from %s.", name, where).
		WithHint("Ask your gateway admin to allow this network for the key.")
}

// Sunset is when the secret stops because its key was given another one; the zero time for a secret without such an end.
func (k *Key) Sunset() time.Time {
	if k.Labels == nil || k.rules == nil || k.sunset == 0 {
		return time.Time{}
	}
	return time.UnixMilli(k.sunset)
}

// Counted says whether it is counted how often the secret is used.
func (k *Key) Counted() bool { return k.Labels != nil && k.rules != nil && k.counted }

// Networks are those from which the key may be used, as people read them; empty for all.
func (k *Key) Networks() string {
	if k.Labels == nil || k.rules == nil {
		return ""
	}
	return k.said
}

// Hash is that of the secret.
func (k *Key) Hash() [32]byte { return k.hash }
