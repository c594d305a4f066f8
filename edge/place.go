package edge

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// advertised is the base URL under which others probably reach an edge that was not told it: with the address it listens on, or, where
// that is any, with the host's name, or its first address that is not loopback if the name says nothing to others.
func advertised(listens net.Addr, secure bool) string {
	at, err := netip.ParseAddrPort(listens.String())
	if err != nil {
		return ""
	}
	host := at.Addr().Unmap().WithZone("").String()
	if at.Addr().IsUnspecified() {
		host = ownHost()
	}
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, strconv.Itoa(int(at.Port())))
}

func ownHost() string {
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") {
		return name
	}
	addresses, err := net.InterfaceAddrs()
	if err == nil {
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
				return n.IP.String()
			}
		}
	}
	return "127.0.0.1"
}

// residentBytes is how much memory the process has; 0 where that cannot be read.
func residentBytes() int64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
