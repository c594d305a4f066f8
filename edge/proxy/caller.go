package proxy

import (
	"net/netip"
	"slices"
	"strings"
)

// caller is the address that a request comes from: that of the connection, or, where a proxy in front of the edge is trusted, the
// last one that no trusted proxy has. It is the zero Addr if that cannot be known.
func (g *Gateway) caller(x *Exchange) netip.Addr {
	peer := addressOf(x.Remote)
	if !g.trusts(peer) {
		return peer
	}
	var forwarded, xForwarded []string
	for _, h := range x.Headers {
		switch {
		case len(h.Name) == len("forwarded") && strings.EqualFold(h.Name, "forwarded"):
			forwarded = appendForwarded(forwarded, h.Value)
		case len(h.Name) == len("x-forwarded-for") && strings.EqualFold(h.Name, "x-forwarded-for"):
			for part := range strings.SplitSeq(h.Value, ",") {
				xForwarded = append(xForwarded, strings.TrimSpace(part))
			}
		}
	}
	switch {
	case forwarded == nil && xForwarded == nil:
		return peer
	case forwarded == nil:
		return g.lastUntrusted(peer, xForwarded)
	case xForwarded == nil:
		return g.lastUntrusted(peer, forwarded)
	}
	// A proxy writes one of them, and lets through what the caller wrote into the other. Which is which nobody can say.
	a, b := g.lastUntrusted(peer, xForwarded), g.lastUntrusted(peer, forwarded)
	if a != b {
		return netip.Addr{}
	}
	return a
}

func (g *Gateway) trusts(a netip.Addr) bool {
	return len(g.cfg.TrustedProxies) > 0 && a.IsValid() && slices.ContainsFunc(g.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// lastUntrusted goes from the proxy that is nearest to the one that is farthest. Each wrote down whom it heard of.
func (g *Gateway) lastUntrusted(peer netip.Addr, chain []string) netip.Addr {
	at := peer
	for _, text := range slices.Backward(chain) {
		if at = addressOf(text); !g.trusts(at) {
			return at
		}
	}
	return at
}

// addressOf reads an address, with or without a port.
func addressOf(text string) netip.Addr {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// appendForwarded adds what a Forwarded header says of whom its proxies heard: the parameter "for" of each element, empty where one
// has none. A quoted text has neither a comma nor a semicolon in it if it is an address.
func appendForwarded(to []string, value string) []string {
	for element := range strings.SplitSeq(value, ",") {
		from := ""
		for pair := range strings.SplitSeq(element, ";") {
			name, text, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if strings.EqualFold(name, "for") {
				from = strings.Trim(text, `"`)
			}
		}
		to = append(to, from)
	}
	return to
}
