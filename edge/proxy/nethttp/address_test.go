package nethttp

import (
	"errors"
	"net/netip"
	"testing"

	"tollgate/edge/routing"
)

// Guarantee: metadata services and link-local addresses cannot be reached in any spelling, and private
// ones only where it is allowed.
func TestAddresses(t *testing.T) {
	t.Parallel()
	const always, private, public = "always", "private", "public"
	for address, class := range map[string]string{
		"169.254.169.254": always, "169.254.0.1": always, "fe80::1": always, "fe80::1%eth0": always, "fd00:ec2::254": always,
		"fd20:ce::254": always, "100.100.100.200": always, "192.0.0.192": always, "168.63.129.16": always,
		"0.0.0.0": always, "::": always, "224.0.0.1": always, "ff02::1": always, "255.255.255.255": always,
		"::ffff:169.254.169.254": always, "::169.254.169.254": always, "64:ff9b::169.254.169.254": always, "2002:a9fe:a9fe::1": always,
		"fd00:ec2::23": always, "::ffff:0:169.254.169.254": always, "64:ff9b:1::169.254.169.254": always, "2001:0:1::1": always, "192.88.99.1": always, "100::1": always,
		"64:ff9b:1::8.8.8.8": private, "::ffff:0:10.0.0.1": private,
		"127.0.0.1": private, "127.9.9.9": private, "::1": private, "10.0.0.1": private, "172.31.0.1": private, "192.168.1.1": private,
		"fc00::1": private, "fd12::1": private, "100.64.0.1": private, "::ffff:10.0.0.1": private, "64:ff9b::10.0.0.1": private, "2002:7f00:1::": private,
		"198.18.0.1": private, "1.1.1.1": public, "172.32.0.1": public, "2606:4700::1111": public, "::ffff:8.8.8.8": public, "100.128.0.1": public,
	} {
		ap := netip.AddrPortFrom(netip.MustParseAddr(address), 443).String()
		strict, lax := checkAddress(ap, false), checkAddress(ap, true)
		if (strict == nil) != (class == public) || (lax == nil) != (class != always) {
			t.Errorf("%s (%s): %v, and where private is allowed: %v", address, class, strict, lax)
		}
		if strict != nil && !errors.Is(strict, errAddress) {
			t.Errorf("%s: %v", address, strict)
		}
	}
	if checkAddress("name:80", true) == nil {
		t.Error("a name passed for an address")
	}
}

// Guarantee: no forward proxy comes between, whose addresses the edge could not check.
func TestNoForwardProxy(t *testing.T) {
	t.Parallel()
	if newLink(t.Context(), new(DefaultClientConfig()), &routing.Target{Scheme: "https"}).main.Proxy != nil {
		t.Error("a forward proxy may be used")
	}
}
