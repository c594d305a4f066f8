package registry

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"tollgate/internal/money"
	"tollgate/internal/period"
)

// Settings hold for the whole deployment. Its form of JSON is that of the database and of the audit. The zero value is what holds
// before anybody has changed one.
type Settings struct {
	Name       string       `json:"name,omitempty"`        // what people call the deployment; empty for "Tollgate"
	GatewayURL string       `json:"gateway_url,omitempty"` // where callers reach the edges; empty if not known
	Zone       string       `json:"time_zone,omitempty"`   // of new budgets; empty for UTC
	Customers  NewCustomers `json:"customers,omitzero"`
	NewKeys    NewKeys      `json:"new_keys,omitzero"`

	Environment      string `json:"environment,omitempty"`       // what it is for; empty for nothing that is shown
	EnvironmentColor string `json:"environment_color,omitempty"` // one of Colors; empty for gray

	Revision  int64     `json:"-"` // of the last write; 0 for none
	Updated   time.Time `json:"-"`
	ManagedBy string    `json:"-"` // owner of the file that manages them
}

// SettingsID is the identifier of the settings, of which there is one.
const SettingsID = "settings"

// NewCustomers say how requests name customers, and what becomes of names that are new.
type NewCustomers struct {
	Headers  []string       `json:"headers,omitempty"`     // beside x-tollgate-customer, in this order
	Fields   []string       `json:"body_fields,omitempty"` // of JSON bodies, looked at after headers
	Create   bool           `json:"create,omitempty"`
	Budget   *DefaultBudget `json:"budget,omitempty"` // of one that is created; nil for none
	Required bool           `json:"required,omitempty"`
}

// NewKeys are what keys are made with where their request does not say.
type NewKeys struct {
	ExpireDays     int32          `json:"expire_days,omitempty"` // 0: never
	Budget         *DefaultBudget `json:"budget,omitempty"`
	MostExpireDays int32          `json:"most_expire_days,omitempty"` // 0: any
}

// DefaultBudget is a budget that new things get.
type DefaultBudget struct {
	Amount money.Nanos   `json:"amount_nanos"`
	Period period.Period `json:"period"`
	Days   uint32        `json:"days,omitempty"` // of a rolling period
	Soft   bool          `json:"soft,omitempty"`
}

// Colors are those in which an environment can be shown.
var Colors = []string{"", "gray", "blue", "green", "yellow", "orange", "red", "purple"}

const (
	maxEnvironment    = 32
	maxSettingsName   = 64
	maxGatewayURL     = 1024
	maxCustomerPlaces = 8
	maxExpireDays     = 3650
)

// ETag changes with every write.
func (s *Settings) ETag() string { return ETag(SettingsID, s.Revision, s.Updated) }

// TimeZone is the zone of new budgets.
func (s *Settings) TimeZone() string {
	if s.Zone == "" {
		return "UTC"
	}
	return s.Zone
}

// Check adds everything that is wrong with the settings to p.
func (s *Settings) Check(p *Problems) {
	if len(s.Name) > maxSettingsName || strings.ContainsFunc(s.Name, isControl) {
		p.Add("name", Malformed, "The name is longer than %d bytes or has a control character in it.", maxSettingsName)
	}
	if s.GatewayURL != "" {
		checkGatewayURL(p, s.GatewayURL)
	}
	if s.Zone != "" {
		CheckZone(p, s.Zone)
	}
	if len(s.Environment) > maxEnvironment || strings.ContainsFunc(s.Environment, isControl) {
		p.Add("environment", Malformed, "The environment is longer than %d bytes or has a control character in it.", maxEnvironment)
	}
	if !slices.Contains(Colors, s.EnvironmentColor) {
		p.Add("environment_color", Malformed, "%q is not a colour of environments: use %s.", clip(s.EnvironmentColor), strings.Join(Colors[1:], ", "))
	}
	s.Customers.check(p.Under("customers"))
	s.NewKeys.check(p.Under("new_keys"))
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func checkGatewayURL(p *Problems, text string) {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxGatewayURL || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil:
		p.Add("gateway_url", Malformed, "%q is not an address of edges: use one such as https://gw.example.com.", clip(text))
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		p.Add("gateway_url", Malformed, "The address %q has a query or a fragment: leave it out.", clip(text))
	}
}

func (c *NewCustomers) check(p *Problems) {
	if len(c.Headers) > maxCustomerPlaces {
		p.Add("headers", Range, "There are %d headers: at most %d are looked at.", len(c.Headers), maxCustomerPlaces)
	}
	for i, name := range c.Headers {
		switch lower := strings.ToLower(name); {
		case !validHeaderName(name):
			p.Add("headers", Malformed, "%q is not the name of a header.", clip(name))
		case customerless[lower]:
			p.Add("headers", Forbidden, "The header %s is never one that names a customer.", name)
		case slices.ContainsFunc(c.Headers[:i], func(other string) bool { return strings.EqualFold(other, name) }):
			p.Add("headers", Duplicate, "The header %s is listed twice.", name)
		}
	}
	if len(c.Fields) > maxCustomerPlaces {
		p.Add("body_fields", Range, "There are %d fields: at most %d are looked at.", len(c.Fields), maxCustomerPlaces)
	}
	for i, path := range c.Fields {
		switch {
		case !validFieldPath(path):
			p.Add("body_fields", Malformed, "%q is not a field of a body: use names with dots between them, such as metadata.user_id.", clip(path))
		case slices.Contains(c.Fields[:i], path):
			p.Add("body_fields", Duplicate, "The field %s is listed twice.", path)
		}
	}
	if c.Budget == nil {
		return
	}
	if !c.Create {
		p.Add("budget", Forbidden, "A customer gets this budget when it is created on first sight: turn that on (create), or leave the budget out.")
	}
	c.Budget.check(p.Under("budget"))
}

// customerless are headers that hold secrets or belong to the connection. What is in them must not become the name of anything.
var customerless = map[string]bool{
	"authorization": true, "proxy-authorization": true, "cookie": true, "x-api-key": true, "api-key": true, "x-goog-api-key": true,
	"x-litellm-api-key": true, "connection": true, "content-length": true, "transfer-encoding": true, "host": true, "upgrade": true, "te": true,
	"trailer": true, "x-tollgate-tags": true, "x-tollgate-customer": true,
}

func validHeaderName(name string) bool {
	const allowed = "!#$%&'*+.^_`|~-0123456789abcdefghijklmnopqrstuvwxyz"
	return name != "" && len(name) <= 128 && strings.Trim(strings.ToLower(name), allowed) == "" && isASCII(name)
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e }) }

// validFieldPath knows up to eight names with dots between them.
func validFieldPath(path string) bool {
	parts := strings.Split(path, ".")
	if len(parts) > 8 {
		return false
	}
	for _, part := range parts {
		if part == "" || len(part) > 64 || strings.ContainsFunc(part, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
		}) {
			return false
		}
	}
	return true
}

func (k *NewKeys) check(p *Problems) {
	for _, d := range []struct {
		field string
		days  int32
	}{{"expire_days", k.ExpireDays}, {"most_expire_days", k.MostExpireDays}} {
		if d.days < 0 || d.days > maxExpireDays {
			p.Add(d.field, Range, "%d days are not between 0 and %d.", d.days, maxExpireDays)
		}
	}
	if k.MostExpireDays > 0 && (k.ExpireDays == 0 || k.ExpireDays > k.MostExpireDays) {
		p.Add("expire_days", Range, "Keys may be valid for %d days at most, so new ones need an expiry within that.", k.MostExpireDays)
	}
	if k.Budget != nil {
		k.Budget.check(p.Under("budget"))
	}
}

func (d *DefaultBudget) check(p *Problems) {
	if d.Amount < 0 && !p.Has("amount") {
		p.Add("amount", Range, "The amount %s is negative: use 0 or more.", d.Amount.Dollars())
	}
	checkPeriod(p, d.Period, d.Days)
}

// Of is the budget that something new gets.
func (d *DefaultBudget) Of(name string, of Scoped, zone string) Budget {
	return Budget{Name: name, Scoped: of, Amount: d.Amount, Period: d.Period, Days: d.Days, Zone: zone, Soft: d.Soft}
}
