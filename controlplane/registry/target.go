package registry

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// targetProblem never quotes a URL with user info in it, because that is a credential.
func targetProblem(raw string) (code, reason string) {
	if raw == "" {
		return TargetRequired, "Enter the target's base URL, for example https://api.example.com."
	}
	if len(raw) > 2048 {
		return Range, "The target is longer than 2048 bytes."
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '"' || c == '<' || c == '>' {
			return TargetForm, fmt.Sprintf("A target cannot contain %q: percent-encode it, and write a host with other letters in its xn-- form.", []rune(raw[i:])[0])
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return TargetForm, "The target is not a URL: write it like https://api.example.com/v1."
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return TargetScheme, fmt.Sprintf("The target's scheme is %q: only http and https are forwarded to.", clip(u.Scheme))
	case u.Opaque != "" || u.Host == "" || u.Hostname() == "":
		return TargetForm, "The target has no host: write it like https://api.example.com/v1."
	case u.User != nil:
		return TargetUserinfo, "The target has user info in it: send credentials in a header with ${secret:NAME}."
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return TargetFragment, "The target has a fragment (#…), which is never sent: leave it out."
	}
	if code, reason := portProblem(u.Host, u.Port()); code != "" {
		return code, reason
	}
	if code, reason := hostProblem(u.Hostname()); code != "" {
		return code, reason
	}
	for s := range strings.SplitSeq(u.Path, "/") {
		if s == "." || s == ".." {
			return TargetForm, fmt.Sprintf("The target's path contains the segment %q: write the path that is meant.", s)
		}
	}
	return "", ""
}

func portProblem(host, port string) (code, reason string) {
	if port == "" {
		if strings.HasSuffix(host, ":") {
			return TargetForm, "The target has a colon without a port: leave it out, or add the port."
		}
		return "", ""
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return Range, fmt.Sprintf("The target's port %s is not between 1 and 65535.", clip(port))
	}
	return "", ""
}

// Addresses that answer with a machine's credentials, or that no service can have. The same is
// checked after name resolution by whoever connects; here it gives the operator a clear answer.
var (
	metadata = []netip.Prefix{
		netip.MustParsePrefix("169.254.0.0/16"),
		netip.MustParsePrefix("fe80::/10"),
		netip.MustParsePrefix("fd00:ec2::254/128"),
		netip.MustParsePrefix("fd20:ce::254/128"),
		netip.MustParsePrefix("100.100.100.200/32"),
		netip.MustParsePrefix("168.63.129.16/32"),
		netip.MustParsePrefix("192.0.0.192/32"),
	}
	metadataNames = []string{"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"}
	// Each embeds an IPv4 address: the well-known prefix of NAT64 and 6to4.
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

func hostProblem(host string) (code, reason string) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if forbiddenAddr(ip) {
			return TargetMetadata, fmt.Sprintf("The target %s is a link-local, metadata or unusable address: requests never go there.", host)
		}
		if ip.Zone() != "" {
			return TargetForm, "The target's address has a zone: write it without."
		}
		return "", ""
	}
	if strings.Contains(host, ":") {
		return TargetForm, fmt.Sprintf("The target's host %q is not an IPv6 address.", clip(host))
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if len(name) > 253 || name == "" {
		return TargetForm, "The target's host name is empty or longer than 253 characters."
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return TargetForm, fmt.Sprintf("The target's host %q is not a host name.", clip(host))
		}
	}
	// Resolvers read 2852039166, 0xa9fea9fe and 169.254.43518 as addresses, past the check above.
	last := labels[len(labels)-1]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" {
		return TargetForm, fmt.Sprintf("The target's host %q ends in a number but is not an address like 192.0.2.1.", clip(host))
	}
	if slices.Contains(metadataNames, name) {
		return TargetMetadata, fmt.Sprintf("The target %s is a cloud metadata service: requests never go there.", host)
	}
	return "", ""
}

func forbiddenAddr(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() {
		return true
	}
	for _, m := range metadata {
		if m.Contains(ip) {
			return true
		}
	}
	if b := ip.As16(); ip.Is6() {
		switch {
		case nat64.Contains(ip):
			return forbiddenAddr(netip.AddrFrom4([4]byte(b[12:16])))
		case sixToFour.Contains(ip):
			return forbiddenAddr(netip.AddrFrom4([4]byte(b[2:6])))
		}
	}
	return false
}

// checkLoop finds targets that are the gateway itself, whose requests would go round and round.
func (e *Endpoint) checkLoop(p *Problems, gateway string) {
	g, err := url.Parse(gateway)
	if err != nil || g.Host == "" {
		return
	}
	for i := range e.Targets {
		at := fmt.Sprintf("targets[%d].url", i)
		if u, err := url.Parse(e.Targets[i].URL); err == nil && !p.Has(at) && strings.EqualFold(hostPort(u), hostPort(g)) {
			p.Add(at, TargetLoop, "%s is this gateway itself: its requests would go round and round.", u.Host)
		}
	}
}

// hostPort is where a URL connects to.
func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(strings.TrimSuffix(u.Hostname(), "."), port)
}
