package publish

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// value is one message of the stream to be.
type value struct {
	subject string
	message proto.Message
	first   []byte // of the message's fields, those that are encoded already
}

// encode makes of it what is sent.
func (v *value) encode(at contract.Version) ([]byte, error) {
	plain, err := encoding.MarshalAppend(v.first, v.message)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", v.subject, err)
	}
	return contract.Wrap(at, plain)
}

// The same configuration gives the same bytes.
var encoding = proto.MarshalOptions{Deterministic: true}

// values builds what is to be sent, in groups that follow one another. A reader of the stream that
// has seen a group has seen what it refers to.
func (p *Publisher) values(ctx context.Context, cfg *store.Config) ([][]value, error) {
	var accounts, keys, routes []value
	byShard := map[uint32]*eventv1.AccountShard{}
	for _, shard := range cfg.AccountShards {
		byShard[shard] = &eventv1.AccountShard{Shard: shard}
		accounts = append(accounts, value{subject: contract.ConfigAccounts(shard), message: byShard[shard]})
	}
	for i := range cfg.Budgets {
		a := p.account(&cfg.Budgets[i])
		s := byShard[contract.AccountShardOf(a.GetId())]
		s.Accounts = append(s.Accounts, a)
	}
	for i := range cfg.Limits {
		l := p.limit(&cfg.Limits[i])
		s := byShard[contract.AccountShardOf(l.GetId())]
		s.Limits = append(s.Limits, l)
	}
	shared := &messages{map[*registry.Budget]*eventv1.Account{}, map[*registry.Limit]*eventv1.Limit{}}
	keyShards := map[uint32]*eventv1.KeyShard{}
	for _, shard := range cfg.KeyShards {
		keyShards[shard] = &eventv1.KeyShard{Shard: shard}
		keys = append(keys, value{subject: contract.ConfigKeys(shard), message: keyShards[shard]})
	}
	for i := range cfg.Keys {
		k := &cfg.Keys[i]
		keyShards[k.Shard].Keys = append(keyShards[k.Shard].Keys, p.key(k, shared))
	}
	if cfg.Routes {
		endpoints, err := p.endpoints(cfg.Endpoints)
		if err != nil {
			return nil, err
		}
		routes = []value{{contract.ConfigRoutes, p.routes(ctx, cfg), endpoints}}
	}
	head := &eventv1.ConfigHead{PublishedUnixMs: time.Now().UnixMilli(), SealingKeyId: p.sealer.SealingKeyID(), Knows: knows}
	return [][]value{accounts, keys, routes, {{subject: contract.ConfigHead, message: head}}}, nil
}

// messages are made once of what many keys share.
type messages struct {
	accounts map[*registry.Budget]*eventv1.Account
	limits   map[*registry.Limit]*eventv1.Limit
}

func once[K comparable, V any](made map[K]V, of K, build func(K) V) V {
	m, ok := made[of]
	if !ok {
		m = build(of)
		made[of] = m
	}
	return m
}

func (p *Publisher) account(b *registry.Budget) *eventv1.Account {
	a := &eventv1.Account{
		Id:             b.AccountID,
		Part:           contract.PartitionOf(b.AccountID, p.cfg.Partitions),
		Gen:            b.Gen,
		Period:         eventv1.AccountPeriod(b.Period),
		Days:           b.Days,
		TimeZone:       b.Zone,
		LimitNanos:     int64(b.Amount),
		Version:        b.Revision,
		BudgetId:       b.ID,
		BudgetName:     b.Name,
		Subject:        b.Subject(),
		Soft:           b.Soft,
		OverdraftNanos: int64(b.Overdraft),
		WarnPercents:   b.Warn,
		RaiseNanos:     int64(b.Raise.By),
	}
	if b.Raise.By != 0 {
		a.RaiseUntilUnix = b.Raise.Until.Unix()
	}
	if b.Opening.Spent != 0 && b.Gen == 0 { // what began anew was not spent of elsewhere
		a.OpeningNanos, a.OpeningUnix = int64(b.Opening.Spent), b.Opening.Time.Unix()
	}
	a.Scope, a.ScopeName, a.EndpointId = scope(&b.Scoped)
	return a
}

func (p *Publisher) limit(l *registry.Limit) *eventv1.Limit {
	out := &eventv1.Limit{
		Id:       l.Number,
		Part:     contract.PartitionOf(l.Number, p.cfg.Partitions),
		Kind:     eventv1.LimitKind(l.Kind),
		Amount:   l.Amount,
		Burst:    l.Passes(),
		Fallback: eventv1.LimitFallback(l.Fallback),
		Version:  l.Revision,
		Name:     l.Name,
		Subject:  l.Subject(),
	}
	out.Scope, out.ScopeName, out.EndpointId = scope(&l.Scoped)
	return out
}

// scope says what an account or a limit applies to, and the name or the endpoint by which requests are
// known to come under it.
func scope(s *registry.Scoped) (scope eventv1.AccountScope, name, endpoint string) {
	switch s.Scope {
	case registry.ScopeKey:
		scope = eventv1.AccountScope_ACCOUNT_SCOPE_KEY
	case registry.ScopeTeam:
		scope, name = eventv1.AccountScope_ACCOUNT_SCOPE_TEAM, s.ScopeName
	case registry.ScopeCustomer:
		scope, name = eventv1.AccountScope_ACCOUNT_SCOPE_CUSTOMER, s.ScopeName
	case registry.ScopeTag:
		scope, name = eventv1.AccountScope_ACCOUNT_SCOPE_TAG, s.ScopeName
	case registry.ScopeEndpoint:
		scope, endpoint = eventv1.AccountScope_ACCOUNT_SCOPE_ENDPOINT, s.ScopeID
	case registry.ScopeEverything:
		scope = eventv1.AccountScope_ACCOUNT_SCOPE_EVERYTHING
	}
	return scope, name, endpoint
}

func (p *Publisher) key(k *store.PublishedKey, shared *messages) *eventv1.ShardKey {
	out := &eventv1.ShardKey{
		Sha256: k.SHA256, Id: k.ID, Name: k.Name,
		ExpireUnixMs: unixMS(k.Expires), RevokeUnixMs: unixMS(k.Revoked),
		Restricted: k.Restricted, EndpointIds: k.EndpointIDs, Models: k.Models, TeamModels: k.TeamModels,
		Blocked: k.Blocked, Methods: k.Methods, Networks: k.Networks, SunsetUnixMs: unixMS(k.Ends), Counted: k.Counted,
		Team: k.Team, Customer: k.Customer, Tags: k.Tags,
	}
	for _, b := range k.Budgets {
		out.Accounts = append(out.Accounts, once(shared.accounts, b, p.account))
	}
	for _, l := range k.Limits {
		out.Limits = append(out.Limits, once(shared.limits, l, p.limit))
	}
	return out
}

// unixMS is 0 for a time that is not set. A time that is set never becomes 0, which would mean the
// opposite.
func unixMS(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return max(t.UnixMilli(), 1)
}

// Routes is what edges get of endpoints and all that they refer to, but without secrets.
func Routes(cfg *store.Config) *eventv1.RouteSnapshot {
	out := (&Publisher{cfg: Config{Partitions: 1}}).besideEndpoints(cfg)
	for _, e := range cfg.Endpoints {
		out.Endpoints = append(out.Endpoints, route(e))
	}
	return out
}

// endpoints encodes endpoints as the first field of the routes. One that was published before is as it was then.
func (p *Publisher) endpoints(all []*registry.Endpoint) (out []byte, err error) {
	next := make(map[*registry.Endpoint][]byte, len(all))
	for _, e := range all {
		one := p.encoded[e]
		if one == nil {
			if one, err = encoding.Marshal(&eventv1.RouteSnapshot{Endpoints: []*eventv1.RouteEndpoint{route(e)}}); err != nil {
				return nil, fmt.Errorf("encode endpoint %s: %w", e.Name, err)
			}
		}
		next[e], out = one, append(out, one...)
	}
	p.encoded = next
	return out, nil
}

// Route is what edges get of an endpoint.
func Route(e *registry.Endpoint) *eventv1.RouteEndpoint { return route(e) }

// Book is what edges get of lists of prices.
func Book(lists []store.PublishedList) (out []*eventv1.BookList) {
	for _, l := range lists {
		out = append(out, &eventv1.BookList{Name: l.Name, Rows: l.Rows})
	}
	return out
}

// routes are all but the endpoints. It leaves out a secret that cannot be opened: its endpoints then fail by name, and everything
// else still reaches the edges, revoked keys above all.
func (p *Publisher) routes(ctx context.Context, cfg *store.Config) *eventv1.RouteSnapshot {
	out := p.besideEndpoints(cfg)
	for _, s := range cfg.Secrets {
		if s.Reference != "" {
			out.Secrets = append(out.Secrets, &eventv1.SealedSecret{Name: s.Name, Reference: s.Reference})
			continue
		}
		sealed, err := p.sealer.Seal(s.ID, s.Name, s.Envelope)
		if err != nil {
			p.log.ErrorContext(ctx, "secret left out of the configuration", "secret", s.Name, "err", err)
			continue
		}
		out.Secrets = append(out.Secrets, &eventv1.SealedSecret{Name: s.Name, Sealed: sealed})
	}
	return out
}

// besideEndpoints is what routes have beside endpoints and secrets.
func (p *Publisher) besideEndpoints(cfg *store.Config) *eventv1.RouteSnapshot {
	out := &eventv1.RouteSnapshot{Book: Book(cfg.Book)}
	for i := range cfg.Models {
		out.Models = append(out.Models, routeModel(&cfg.Models[i]))
	}
	for i := range cfg.Adapters {
		out.Adapters = append(out.Adapters, routeAdapter(&cfg.Adapters[i]))
	}
	for i := range cfg.RouteBudgets {
		out.Accounts = append(out.Accounts, p.account(&cfg.RouteBudgets[i]))
	}
	for i := range cfg.RouteLimits {
		out.Limits = append(out.Limits, p.limit(&cfg.RouteLimits[i]))
	}
	out.Customers = customerRules(cfg)
	return out
}

// customerRules are left out where nobody has set any, so that it all looks as it always did.
func customerRules(cfg *store.Config) *eventv1.CustomerRules {
	c := &cfg.Settings.Customers
	out := &eventv1.CustomerRules{
		Headers: c.Headers, BodyFields: c.Fields, Create: c.Create, WithBudget: c.Create && c.Budget != nil, Required: c.Required,
		Blocked: cfg.Blocked, Unbounded: cfg.Unbounded,
	}
	if proto.Size(out) == 0 {
		return nil
	}
	return out
}
