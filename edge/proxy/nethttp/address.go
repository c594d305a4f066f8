package nethttp

import (
	"errors"
	"fmt"
	"net/netip"
)

// errAddress marks an address that an edge does not connect to.
var errAddress = errors.New("address is not allowed")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

var (
	// never holds what no target is: link-local addresses, the metadata services of clouds, from
	// which credentials can be had, and addresses that are not one host's.
	never = prefixes(
		"169.254.0.0/16", "fe80::/10", // link-local; most metadata services
		"fd00:ec2::/32", "fd20:ce::254/128", // metadata: AWS, Google
		"100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32", // metadata: Alibaba, Oracle, Azure
		"0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "240.0.0.0/4",
		"100::/64", "192.88.99.0/24", // nowhere, and whoever comes first
		"2001::/32", // an IPv4 address behind somebody else's relay
	)
	// private holds what is not on the internet.
	private = prefixes(
		"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7",
		"100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "fec0::/10", "64:ff9b:1::/48",
	)
	// wrapping are IPv6 ranges that lead to the IPv4 address in them, and where it begins.
	wrapping = map[netip.Prefix]int{
		netip.MustParsePrefix("64:ff9b::/96"):    12,
		netip.MustParsePrefix("64:ff9b:1::/48"):  12,
		netip.MustParsePrefix("2002::/16"):       2,
		netip.MustParsePrefix("::/96"):           12,
		netip.MustParsePrefix("::ffff:0:0:0/96"): 12,
	}
)

// checkAddress refuses what an edge must not connect to.
func checkAddress(address string, allowPrivate bool) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errAddress, address)
	}
	return checkIP(ap.Addr().WithZone("").Unmap(), allowPrivate)
}

func checkIP(ip netip.Addr, allowPrivate bool) error {
	refused := contains(never, ip) || !allowPrivate && contains(private, ip)
	if refused {
		return fmt.Errorf("%w: %s", errAddress, ip)
	}
	if !ip.Is6() || ip == netip.IPv6Loopback() {
		return nil
	}
	for prefix, at := range wrapping {
		if prefix.Contains(ip) {
			raw := ip.As16()
			return checkIP(netip.AddrFrom4([4]byte(raw[at:at+4])), allowPrivate)
		}
	}
	return nil
}

func contains(list []netip.Prefix, ip netip.Addr) bool {
	for _, p := range list {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
