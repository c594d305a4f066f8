package registry

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tollgate/internal/id"
)

// Forward says which of the caller's headers reach a target. The numbers are those of both protobuf
// enumerations.
type Forward uint8

// The modes.
const (
	ForwardSafeList Forward = iota + 1
	ForwardAll
	ForwardNone
)

// Bounds of endpoints.
const (
	DefaultTimeout = 10 * time.Minute
	MaxTimeout     = time.Hour
	MaxTargets     = 8
	MaxMethods     = 16
)

// Endpoint maps a path and methods to targets.
type Endpoint struct {
	ID                  string        `json:"id"`
	Name                string        `json:"name"`
	Path                string        `json:"path"`
	Exact               bool          `json:"exact"`
	Methods             []string      `json:"methods"` // empty: every method
	Public              *Public       `json:"public,omitempty"`
	Targets             []Target      `json:"targets"`
	Models              *Models       `json:"models,omitempty"` // in place of targets
	Balance             Balance       `json:"balance"`
	Headers             []Header      `json:"headers"`
	Query               []Query       `json:"query,omitempty"`
	Host                Host          `json:"host_header"`
	Credentials         []Credential  `json:"credentials,omitempty"`
	CredentialBalance   Balance       `json:"credential_balance"`
	AWS                 *AWSSigning   `json:"aws_signing,omitempty"`
	Forward             Forward       `json:"forward"`
	PassHeaders         bool          `json:"pass_headers"`
	KeyHeader           string        `json:"key_header"`
	Price               Price         `json:"price"`
	PriceVersion        int64         `json:"price_version"` // revision of the last change of price
	Abandoned           Abandoned     `json:"abandoned"`
	Timeout             time.Duration `json:"timeout_ns"`
	Timeouts            Timeouts      `json:"timeouts"`
	MaxBodyBytes        int64         `json:"max_body_bytes"`
	ForwardTraceContext bool          `json:"forward_trace_context"`
	Resilience
	Disabled    bool      `json:"disabled,omitempty"` // its requests are refused
	Description string    `json:"description,omitempty"`
	Revision    int64     `json:"revision"`
	Created     time.Time `json:"create_time"`
	Updated     time.Time `json:"update_time"`

	// ManagedBy is the owner of the file that manages it. It is found out anew whenever the endpoint is read.
	ManagedBy string `json:"-"`
}

// ETag changes with every write.
func (e *Endpoint) ETag() string { return ETag(e.ID, e.Revision, e.Updated) }

// EndpointFacts is what the rules of endpoints need to know of the world. The endpoint itself is not
// among the others.
type EndpointFacts struct {
	NameTaken bool
	SamePath  []Endpoint // others on the same path
	Gateway   string     // URL where callers reach the edges; empty if not known
	Secrets   []string   // those of SecretRefs that exist
	Adapter   bool       // whether the adapter exists that it names
	// PublicName says whether the limit of a public endpoint cannot have its name, because another has it.
	PublicName bool
	// RequestLimit is the name of a limit of the endpoint's requests that somebody made.
	RequestLimit string
}

// Normalize fills in what was left out, writes what is meant in other products' forms in ours, and
// drops the slash that a prefix does not need.
func (e *Endpoint) Normalize() {
	e.rewrite()
	e.FillIn()
	if e.Models != nil {
		e.Models.normalize()
	}
	e.Timeout = wholeMillis(e.Timeout)
	e.Timeouts.normalize()
	e.Resilience.normalize()
	e.Price.normalize()
	if !e.Exact && len(e.Path) > 1 && !strings.HasSuffix(e.Path, "//") {
		e.Path = strings.TrimSuffix(e.Path, "/")
	}
	slices.Sort(e.Methods)
}

// FillIn gives what is not set the value that it stands for, also in what an older version stored.
func (e *Endpoint) FillIn() {
	e.Forward = either(e.Forward, ForwardSafeList)
	e.Timeout = either(e.Timeout, DefaultTimeout)
	e.Abandoned = either(e.Abandoned, AbandonedReserved)
	e.Balance = either(e.Balance, BalanceFailover)
	e.CredentialBalance = either(e.CredentialBalance, BalanceFailover)
	e.Host.Kind = either(e.Host.Kind, HostTarget)
	fillModes(e.Headers, e.Query, ModeDefault)
	for i := range e.Credentials {
		fillModes(e.Credentials[i].Headers, e.Credentials[i].Query, ModeSet)
	}
	for i := range e.Targets {
		if t := e.Targets[i].TLS; t != nil {
			t.MinVersion = either(t.MinVersion, TLS12)
		}
	}
}

// either is v, or what v stands for where it is not set.
func either[T comparable](v, otherwise T) T {
	var unset T
	if v == unset {
		return otherwise
	}
	return v
}

// wholeMillis rounds up to what is stored and published.
func wholeMillis(d time.Duration) time.Duration {
	if rest := d % time.Millisecond; d > 0 && rest != 0 {
		return d - rest + time.Millisecond
	}
	return d
}

// Check adds everything that is wrong with a normalized endpoint to p.
func (e *Endpoint) Check(p *Problems, facts EndpointFacts) {
	checkName(p, endpointName, id.Endpoint, e.Name)
	if facts.NameTaken {
		p.Add("name", NameTaken, "An endpoint with the name %s exists.", e.Name)
	}
	checkPath(p, e.Path, e.Exact)
	checkMethods(p, "methods", e.Methods)
	if !p.Has("path") {
		for i := range facts.SamePath {
			if o := &facts.SamePath[i]; Conflict(e, o) {
				e.addConflict(p, o)
			}
		}
	}
	e.checkPublic(p, facts)
	known := secretsKnown(facts.Secrets)
	if e.Models != nil {
		e.checkModels(p, facts)
	} else {
		e.checkTargets(p, known)
		e.checkLoop(p, facts.Gateway)
	}
	checkHeaders(p, "headers", e.Headers, known)
	checkQuery(p, "query", e.Query, known)
	e.Host.check(p)
	e.checkCredentials(p, known)
	e.checkSigning(p, known)
	e.checkKeyHeader(p)
	if e.Forward > ForwardNone {
		p.Add("forward_headers", Malformed, "This way of forwarding headers is not known.")
	}
	if e.Models == nil {
		e.Price.check(p, e.Methods)
	}
	if e.Abandoned > AbandonedNothing {
		p.Add("abandoned", Malformed, "This way of charging abandoned requests is not known: use reserved, metered or nothing.")
	}
	if (e.Timeout < time.Millisecond || e.Timeout > MaxTimeout) && !p.Has("timeout") {
		p.Add("timeout", Range, "The timeout %s is not between 1ms and %s.", e.Timeout, MaxTimeout)
	}
	e.Timeouts.check(p)
	if e.Models == nil {
		e.Resilience.check(p, len(e.Targets), "target", e.Timeout)
	}
	checkDescription(p, e.Description)
	if e.MaxBodyBytes < 0 {
		p.Add("max_body_bytes", Range, "The largest body is %d bytes: use 0 for the edge's own limit, or more.", e.MaxBodyBytes)
	}
}

// maxDescription is how long a description may be, in characters.
const maxDescription = 1024

func checkDescription(p *Problems, text string) {
	switch {
	case utf8.RuneCountInString(text) > maxDescription:
		p.Add("description", Range, "The description has more than %d characters.", maxDescription)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		p.Add("description", Malformed, "The description is not text.")
	}
}

// methodForm is narrower than RFC 9110's token: methods are case-sensitive, and a lower-case one is
// always a mistake.
var methodForm = regexp.MustCompile(`^[A-Z][A-Z-]{0,31}$`)

func checkMethods(p *Problems, field string, methods []string) {
	if len(methods) > MaxMethods {
		p.Add(field, Range, "There are %d methods: at most %d are allowed, and none means every method.", len(methods), MaxMethods)
	}
	for i, m := range methods {
		switch {
		case !methodForm.MatchString(m):
			p.Add(field, Malformed, "%q is not a method: use upper case, such as POST.", clip(m))
		case m == "TRACE" || m == "TRACK":
			p.Add(field, Forbidden, "%s asks the target to send the request back, credential and all.", m)
		case m == "CONNECT":
			p.Add(field, Forbidden, "CONNECT asks for a tunnel, which a gateway does not open.")
		case slices.Contains(methods[:i], m):
			p.Add(field, Duplicate, "The method %s is listed twice.", m)
		}
	}
}

// addConflict says that a path is another's, or only some of its methods, where others could be chosen.
func (e *Endpoint) addConflict(p *Problems, o *Endpoint) {
	if len(e.Methods) > 0 && len(o.Methods) > 0 && !slices.Equal(e.Methods, o.Methods) {
		both := slices.DeleteFunc(slices.Clone(e.Methods), func(m string) bool { return !slices.Contains(o.Methods, m) })
		p.Add("methods", MethodsOverlap, "%s of %s already goes to endpoint %s (%s): use another path, or methods that do not overlap.",
			strings.Join(both, ", "), e.Path, o.Name, methodsText(o.Methods))
	} else {
		p.Add("path", PathTaken, "%s already goes to endpoint %s (%s): use another path, or methods that do not overlap.",
			e.Path, o.Name, methodsText(o.Methods))
	}
	p.about(o.Name)
}

// Conflict says whether some request would be answered equally well by both: the same path,
// compared in the same way, and a method in common. An exact path beats a prefix and a longer prefix
// a shorter one, so those live side by side.
func Conflict(a, b *Endpoint) bool {
	return a.Path == b.Path && a.Exact == b.Exact && overlap(a.Methods, b.Methods)
}

func overlap(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return true
	}
	return slices.ContainsFunc(a, func(m string) bool { return slices.Contains(b, m) })
}

func methodsText(methods []string) string {
	if len(methods) == 0 {
		return "every method"
	}
	return strings.Join(methods, ", ")
}
