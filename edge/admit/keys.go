package admit

import (
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
	"unique"

	"tollgate/edge/limit"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// Key is a caller's key. It never changes.
type Key struct {
	ID       string
	Name     string
	Accounts []*Account // of the key, its team, its customer and its tags
	*Labels

	hash [32]byte
}

// Labels is what a key says about its requests, and until when and where it may be used. Most keys of
// a team have the same, and share them.
type Labels struct {
	Team     string         // empty for none
	Customer string         // empty if requests may name one
	Tags     []string       // beside those that requests name
	Limits   []*limit.Limit // of the key, its team, its customer and its tags

	expire int64 // Unix milliseconds; 0 for never
	revoke int64 // Unix milliseconds; 0 if it was not
	access access
	*rules // nil for most keys
}

// access is the endpoints that a key may call: their ids, each after a line end and all followed by
// one. Keys with the same access share the text. The zero value allows every endpoint.
type access unique.Handle[string]

var anywhere access

func accessTo(endpointIDs []string) access {
	return access(unique.Make("\n" + strings.Join(endpointIDs, "\n") + "\n"))
}

func (a access) allows(endpointID string) bool {
	if a == anywhere {
		return true
	}
	list := unique.Handle[string](a).Value()
	for {
		i := strings.Index(list, endpointID)
		if i < 0 || endpointID == "" {
			return false
		}
		end := i + len(endpointID)
		if i > 0 && list[i-1] == '\n' && list[end] == '\n' {
			return true
		}
		list = list[i+1:]
	}
}

// Allows says whether the key may call an endpoint.
func (k *Key) Allows(endpointID string) bool { return k.access.allows(endpointID) }

// models is the models that a key may ask for: patterns, each on a line. Keys with the same models share the text. The zero value
// allows every model.
type models unique.Handle[string]

var anyModel models

// modelsOf is anyModel for an empty list.
func modelsOf(patterns []string) models {
	if len(patterns) == 0 {
		return anyModel
	}
	return models(unique.Make(strings.Join(patterns, "\n")))
}

func (m models) allow(model string) bool {
	if m == anyModel {
		return true
	}
	for pattern := range strings.SplitSeq(unique.Handle[string](m).Value(), "\n") {
		if fits(pattern, model) {
			return true
		}
	}
	return false
}

// fits says whether a text is a pattern with any text in place of each "*".
func fits(pattern, text string) bool {
	pattern, rest, more := strings.Cut(pattern, "*")
	if !more {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, pattern)
	for ok {
		// What is left must end as the pattern does; before that, the first place that fits is as good as any.
		if pattern, rest, more = strings.Cut(rest, "*"); !more {
			return strings.HasSuffix(text, pattern)
		}
		_, text, ok = strings.Cut(text, pattern)
	}
	return false
}

// MayAsk says whether the key, and its team, may ask for a model, by the name that the caller used.
func (k *Key) MayAsk(model string) bool {
	return k.rules == nil || k.models.allow(model) && k.teamModels.allow(model)
}

// Keys is every key, in shards that are replaced whole. A million of them lie packed; those that requests use are made ready
// when they are first used. Lookups take no lock. The zero value is empty and ready.
type Keys struct {
	shards [contract.KeyShards]atomic.Pointer[shard]
	labels sharing
}

// Lookup finds a key by the hash of its secret.
func (k *Keys) Lookup(hash [32]byte) (*Key, bool) {
	s := k.shards[contract.KeyShardOf(hash)].Load()
	if s == nil {
		return nil, false
	}
	return s.lookup(&hash)
}

// Len is the number of keys.
func (k *Keys) Len() int {
	n := 0
	for i := range k.shards {
		if s := k.shards[i].Load(); s != nil {
			n += len(s.hashes)
		}
	}
	return n
}

// Ask is what a request wants to do with a key.
type Ask struct {
	EndpointID, EndpointName string
	Method                   string
	From                     netip.Addr // where it comes from; the zero Addr if that is not known
	FromAnywhere             bool       // it is not asked where it comes from, as of a request that nobody has made
	Now                      time.Time
}

// Authenticate finds the key whose secret was presented and checks that it may be used so. No text of it says more of the secret
// than that it is not known.
func (k *Keys) Authenticate(secret []byte, ask *Ask) (*Key, error) {
	return k.AuthenticateHash(contract.KeyHash(secret), ask)
}

// AuthenticateHash does the same for the hash of a secret that was not presented here.
func (k *Keys) AuthenticateHash(hash [32]byte, ask *Ask) (*Key, error) {
	key, ok := k.Lookup(hash)
	if !ok {
		return nil, Unknown()
	}
	if err := key.Check(ask); err != nil {
		return nil, err
	}
	return key, nil
}

// Unknown says that a key is not known.
func Unknown() error { return fault.New(fault.KeyUnknown, "This key is not known.") }

// Picky says whether it matters where requests with the key come from.
func (k *Key) Picky() bool {
	return k.Labels != nil && k.rules != nil && (len(k.networks) > 0 || k.counted)
}

// Check says why the key may not be used so, or nil.
func (k *Key) Check(ask *Ask) error {
	ms := ask.Now.UnixMilli()
	switch {
	case k.revoke != 0 && k.revoke <= ms:
		return fault.New(fault.KeyRevoked, "Key %s was revoked on %s.", k.Name, date(k.revoke))
	case k.rules != nil && k.sunset != 0 && k.sunset <= ms:
		return fault.New(fault.KeyRevoked, "Key %s was rotated; the old secret stopped on %s.", k.Name, date(k.sunset)).
			WithHint("Use the key's new secret.")
	case k.expire != 0 && k.expire <= ms:
		return fault.New(fault.KeyExpired, "Key %s expired on %s.", k.Name, date(k.expire))
	case k.rules != nil && k.blocked:
		return fault.New(fault.KeyBlocked, "Key %s is blocked.", k.Name)
	case !k.Allows(ask.EndpointID):
		return fault.New(fault.KeyNotAllowed, "Key %s can't call endpoint %s.", k.Name, ask.EndpointName)
	}
	if k.rules != nil {
		return k.check(k.Name, ask)
	}
	return nil
}

func date(ms int64) string {
	return fmt.Sprintf("%s UTC", time.UnixMilli(ms).UTC().Format("2 January 2006 15:04"))
}
