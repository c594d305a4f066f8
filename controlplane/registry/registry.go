// Package registry says what endpoints, models, adapters, keys, teams, budgets, limits and secrets are and what they may
// become. It holds every rule that relates fields or objects to one another, and reports all that is
// wrong with a change at once. It reads no database and no clock: what a rule needs to know of the
// world is handed in as facts, so that the caller can collect them under the lock that keeps them true.
package registry

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"time"

	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// Codes of violations. They are part of the API.
const (
	Required  = "required"
	Malformed = "invalid"
	Reserved  = "reserved"
	Taken     = "taken"
	Unknown   = "unknown"
	Range     = "out_of_range"
	Duplicate = "duplicate"
	Forbidden = "forbidden"
)

// Codes of what is wrong with endpoints, and with what models and adapters have in common with them. Texts for people are found by
// them, so that each stands for one thing to be done about it. They are part of the API.
const (
	NameTaken      = "name_taken"
	NameSlug       = "name_slug" // not lower-case letters, digits and hyphens
	PathRequired   = "path_required"
	PathChars      = "path_chars" // a character that means something else in a URL
	PathForm       = "path_form"  // segments that callers never send
	PathQuery      = "path_query"
	PathReserved   = "path_reserved"
	PathTaken      = "path_taken"
	MethodsOverlap = "methods_overlap" // the path is another's with some of the methods
	TargetRequired = "target_required"
	TargetForm     = "target_form" // no URL, or one without a host that can be
	TargetScheme   = "target_scheme"
	TargetUserinfo = "target_userinfo"
	TargetFragment = "target_fragment"
	TargetLoop     = "target_loop"     // the gateway itself
	TargetMetadata = "target_metadata" // an address of which nobody may ask
	HeaderName     = "header_name"
	HeaderDup      = "header_dup"
	HeaderHop      = "header_hop"  // belongs to the connection
	HeaderHost     = "header_host" // set with host_header
	HeaderValueNL  = "header_value_nl"
	SecretMissing  = "secret_missing"
	PriceNegative  = "price_negative"
	PricePrecision = "price_precision"
	MeterPath      = "meter_path"
)

// taken says whether a code means no more than that somebody else came first.
func taken(code string) bool {
	return code == Taken || code == NameTaken || code == PathTaken || code == MethodsOverlap
}

// Problems collects what is wrong with one change. The zero value has none.
type Problems struct {
	prefix string
	list   []fault.Violation
	whole  *Problems // whose list it adds to, if it is for a part; nil for its own
}

// NewProblems collects under a field of the request, such as "endpoint"; empty for the request
// itself.
func NewProblems(prefix string) *Problems { return &Problems{prefix: prefix} }

// Clone is a copy to which more can be added. A nil p gives an empty one.
func (p *Problems) Clone() *Problems {
	if p == nil {
		return &Problems{}
	}
	return &Problems{prefix: p.prefix, list: slices.Clone(p.list)}
}

// Under collects for a part of the change, such as "deployments[0]", into the same list.
func (p *Problems) Under(part string) *Problems {
	return &Problems{prefix: p.field(part), whole: p.all()}
}

// all is where the list is.
func (p *Problems) all() *Problems {
	if p.whole != nil {
		return p.whole
	}
	return p
}

// field is the name of a field in the whole request.
func (p *Problems) field(name string) string {
	if p.prefix != "" && name != "" {
		return p.prefix + "." + name
	}
	return p.prefix + name
}

// Add notes that a field is wrong. The reason is a sentence that says what is wrong and what would
// be right.
func (p *Problems) Add(field, code, reason string, args ...any) {
	whole := p.all()
	whole.list = append(whole.list, fault.Violation{Field: p.field(field), Code: code, Reason: fmt.Sprintf(reason, args...)})
}

// about names the object that the last problem is about.
func (p *Problems) about(object string) {
	whole := p.all()
	whole.list[len(whole.list)-1].Object = object
}

// Has says whether a field was found wrong before, so that no second complaint follows from the
// first.
func (p *Problems) Has(field string) bool {
	field = p.field(field)
	for _, v := range p.all().list {
		if v.Field == field {
			return true
		}
	}
	return false
}

// Err is nil without problems. With nothing but taken names and paths it is already_exists, because
// then the change is well formed and only comes too late; otherwise it is invalid_argument.
func (p *Problems) Err(what string) error {
	if len(p.list) == 0 {
		return nil
	}
	code := fault.AlreadyExists
	for _, v := range p.list {
		if !taken(v.Code) {
			code = fault.InvalidArgument
		}
	}
	if len(p.list) == 1 {
		return fault.New(code, "%s", p.list[0].Reason).WithViolations(p.list...)
	}
	return fault.New(code, "%d things are wrong with %s.", len(p.list), what).WithViolations(p.list...)
}

var (
	endpointName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	objectName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`)
)

// checkName also refuses a name in the form of an identifier, because every request that names an
// object takes either.
func checkName(p *Problems, form *regexp.Regexp, prefix id.Prefix, name string) {
	switch {
	case name == "":
		p.Add("name", Required, "A name is required, by which it is shown and referred to.")
	case !form.MatchString(name):
		code := Malformed
		if prefix == id.Endpoint {
			code = NameSlug
		}
		allowed := "lower-case letters, digits, hyphens, underscores and dots"
		if form == endpointName {
			allowed = "lower-case letters, digits and hyphens"
		}
		p.Add("name", code, "The name %q is not valid: use 1 to 63 %s, with a letter or digit at both ends.", clip(name), allowed)
	case id.Is(prefix, name):
		p.Add("name", Reserved, "The name %q has the form of an identifier: choose another.", name)
	}
}

// ETag changes with every write of an object.
func ETag(id string, revision int64, updated time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d", id, revision, updated.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// clip keeps foreign text in messages short.
func clip(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
