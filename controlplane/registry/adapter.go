package registry

import (
	"strings"
	"time"

	"tollgate/internal/id"
)

// Bounds of adapters, and what they have where nothing else is said.
const (
	DefaultAdapterTimeout = 10 * time.Second
	DefaultAdapterBytes   = 16 << 20

	maxAdapterTimeout = 5 * time.Minute
	maxAdapterBytes   = 256 << 20
	maxAdapterHeaders = 16
)

// Adapter is a server of an operator's that translates between a schema of its own and Chat Completions.
type Adapter struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Target   Target        `json:"target"`
	Timeout  time.Duration `json:"timeout_ns"`
	MaxBytes int64         `json:"max_bytes"`
	Headers  []Header      `json:"headers,omitempty"`
	Revision int64         `json:"revision"`
	Created  time.Time     `json:"create_time"`
	Updated  time.Time     `json:"update_time"`

	// ManagedBy is the owner of the file that manages it. It is found out anew whenever the adapter is read.
	ManagedBy string `json:"-"`
}

// ETag changes with every write.
func (a *Adapter) ETag() string { return ETag(a.ID, a.Revision, a.Updated) }

// AdapterFacts is what the rules of adapters need to know of the world.
type AdapterFacts struct {
	NameTaken bool
	Secrets   []string // those of SecretRefs that exist
}

// Normalize fills in what was left out.
func (a *Adapter) Normalize() {
	a.Headers = rewriteHeaders(a.Headers)
	fillModes(a.Headers, nil, ModeDefault)
	a.Timeout = wholeMillis(either(a.Timeout, DefaultAdapterTimeout))
	a.MaxBytes = either(a.MaxBytes, DefaultAdapterBytes)
	a.Target.HTTP = either(a.Target.HTTP, HTTP2)
	if t := a.Target.TLS; t != nil {
		secured := *t
		secured.MinVersion = either(t.MinVersion, TLS12)
		a.Target.TLS = &secured
	}
}

// Upstream is the adapter as an endpoint with one target, of which edges know how to connect to it.
func (a *Adapter) Upstream() Endpoint {
	return Endpoint{
		ID: a.ID, Name: a.Name, Path: "/", Methods: []string{"POST"}, Targets: []Target{a.Target}, Headers: a.Headers,
		Balance: BalanceFailover, CredentialBalance: BalanceFailover, Host: Host{Kind: HostTarget},
		Price: Price{Free: true}, Timeout: a.Timeout,
	}
}

// SecretRefs lists the names of the secrets that the adapter refers to, sorted, each once.
func (a *Adapter) SecretRefs() []string {
	e := a.Upstream()
	return e.SecretRefs()
}

// Check adds everything that is wrong with a normalized adapter to p.
func (a *Adapter) Check(p *Problems, facts AdapterFacts) {
	checkName(p, endpointName, id.Adapter, a.Name)
	if facts.NameTaken {
		p.Add("name", Taken, "An adapter with the name %s exists.", a.Name)
	}
	known := secretsKnown(facts.Secrets)
	a.Target.check(p, "target", BalanceFailover, known)
	if strings.Contains(a.Target.URL, "?") && !p.Has("target.url") {
		p.Add("target.url", Malformed, "The adapter's URL has a query: leave it out, and send what it says in a header.")
	}
	if a.Target.HTTP == HTTP1 {
		p.Add("target.http_version", Forbidden, "Streams are translated as they come, which takes HTTP/2 in both directions: leave the version out.")
	}
	if len(a.Headers) > maxAdapterHeaders {
		p.Add("headers", Range, "There are %d headers: at most %d are allowed.", len(a.Headers), maxAdapterHeaders)
	}
	checkHeaders(p, "headers", a.Headers, known)
	if (a.Timeout < time.Millisecond || a.Timeout > maxAdapterTimeout) && !p.Has("timeout") {
		p.Add("timeout", Range, "The timeout %s is not between 1ms and %s.", a.Timeout, maxAdapterTimeout)
	}
	if a.MaxBytes < 1 || a.MaxBytes > maxAdapterBytes {
		p.Add("max_bytes", Range, "The largest message is %d bytes, which is not between 1 and %d.", a.MaxBytes, maxAdapterBytes)
	}
}
