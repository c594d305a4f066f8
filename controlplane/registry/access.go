package registry

// Public lets callers without a key in. All of them together get what its limit lets pass.
type Public struct {
	RequestsPerMinute int64 `json:"requests_per_minute"`
	Burst             int64 `json:"burst,omitempty"` // 0: what follows from the limit
}

// maxPublic is the largest limit of a public endpoint.
const maxPublic = 1_000_000_000

// PublicLimit is the limit by which a public endpoint is bounded; nil for one that asks for keys.
func (e *Endpoint) PublicLimit() *Limit {
	if e.Public == nil {
		return nil
	}
	return &Limit{
		Name: "public-" + e.Name, Scoped: Scoped{Scope: ScopeEndpoint, ScopeID: e.ID, ScopeName: e.Name}, Owner: e.ID,
		Kind: LimitRequests, Amount: e.Public.RequestsPerMinute, Burst: e.Public.Burst, Fallback: FallbackShare,
	}
}

func (e *Endpoint) checkPublic(p *Problems, facts EndpointFacts) {
	if e.Public == nil {
		return
	}
	if n := e.Public.RequestsPerMinute; n < 1 || n > maxPublic {
		p.Add("access.public.requests_per_minute", Range, "%d requests a minute is not between 1 and %d: what anybody may call at your cost has a limit.", n, maxPublic)
	}
	if n := e.Public.Burst; n < 0 || n > maxPublic {
		p.Add("access.public.burst", Range, "The burst %d is not between 0 and %d.", n, maxPublic)
	}
	if facts.PublicName && !p.Has("name") {
		p.Add("access.public", Taken, "The limit of a public endpoint is named after it, and a limit public-%s exists: delete that, or name the endpoint differently.", e.Name)
	}
	if facts.RequestLimit != "" {
		p.Add("access.public", Taken, "Limit %s already bounds the requests a minute of endpoint %s: delete it, and say here how many are public.", facts.RequestLimit, e.Name)
	}
}
