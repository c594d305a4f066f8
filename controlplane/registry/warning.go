package registry

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Codes of warnings. They are part of the API.
const (
	WarnTLS     = "tls_not_verified"
	WarnPlain   = "target_plain"
	WarnPrivate = "target_private"
	WarnPublic  = "public"
	WarnMethods = "methods_not_charged"
	WarnDefault = "default_model_unknown"
)

// Warning is something that an operator should know of an endpoint or a model and that is not wrong.
type Warning struct{ Field, Code, Text string }

// Warnings are found anew whenever they are asked for.
func (e *Endpoint) Warnings() []Warning {
	var all []Warning
	if e.Public != nil {
		all = append(all, Warning{"access.public", WarnPublic, fmt.Sprintf(
			"Anybody who reaches an edge may call it at your cost, %d times a minute in all.", e.Public.RequestsPerMinute)})
	}
	if charge, priced := e.Price.charge(); priced && len(e.Methods) == 0 && len(charge.GetMethods()) == 0 {
		all = append(all, Warning{
			"price", WarnMethods,
			"Requests of the methods GET, HEAD and OPTIONS are not charged: name the endpoint's methods, or those that are charged, if they cost something.",
		})
	}
	if m := e.Models; m != nil && m.DefaultUnknown {
		all = append(all, Warning{"models.default_model", WarnDefault, fmt.Sprintf(
			"No model has the name %s: requests that need it are refused until one does.", clip(m.Default))})
	}
	for i, t := range e.Targets {
		at := fmt.Sprintf("targets[%d]", i)
		if t.TLS != nil && t.TLS.SkipVerify {
			all = append(all, Warning{
				at + ".tls.skip_verify", WarnTLS,
				"The target's certificate is not verified: whoever is between edge and target can read and change everything, credentials included.",
			})
		}
		u, err := url.Parse(t.URL)
		if err != nil {
			continue
		}
		switch inside := insideAddress(u.Hostname()); {
		case inside:
			all = append(all, Warning{
				at + ".url", WarnPrivate,
				"It is a loopback or private address, which edges connect to only with the setting allow_private_targets.",
			})
		case u.Scheme == "http" && !insideName(u.Hostname()) && e.carriesSecret():
			all = append(all, Warning{
				at + ".url", WarnPlain,
				"Requests to it are not encrypted, and have a credential in them that anybody on the way can read: use https.",
			})
		}
	}
	return all
}

// privateRanges are what edges take for private beside what is private by name.
var privateRanges = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("fec0::/10"),
}

// insideAddress says whether a host is written as an address that is not on the internet.
func insideAddress(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		name := strings.ToLower(strings.TrimSuffix(host, "."))
		return name == "localhost" || strings.HasSuffix(name, ".localhost")
	}
	ip = ip.Unmap()
	if ip.IsLoopback() || ip.IsPrivate() {
		return true
	}
	for _, r := range privateRanges {
		if r.Contains(ip) {
			return true
		}
	}
	return false
}

// insideName says whether a host has a name that only a network of one's own resolves.
func insideName(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	if !strings.Contains(name, ".") {
		return true
	}
	for _, end := range []string{".internal", ".local", ".svc", ".lan", ".home.arpa"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}
