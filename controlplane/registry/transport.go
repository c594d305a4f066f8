package registry

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/headervalue"
)

// Target is one upstream, and how edges connect to it.
type Target struct {
	URL      string      `json:"url,omitempty"`
	Weight   uint32      `json:"weight,omitempty"` // 0: 1
	Priority uint32      `json:"priority,omitempty"`
	HTTP     HTTPVersion `json:"http_version,omitempty"` // 0: what the target chooses
	TLS      *TLS        `json:"tls,omitempty"`
}

// TLS says how connections to a target are secured.
type TLS struct {
	CAPEM         string     `json:"ca_pem,omitempty"`          // empty: the edge's system's
	ClientCertPEM string     `json:"client_cert_pem,omitempty"` // or one reference
	ClientKey     string     `json:"client_key,omitempty"`      // always one reference
	ServerName    string     `json:"server_name,omitempty"`     // empty: the URL's host
	MinVersion    TLSVersion `json:"min_version,omitempty"`
	SkipVerify    bool       `json:"skip_verify,omitempty"`
}

// HTTPVersion is the version of HTTP that a target is spoken to in. The numbers are those of both
// protobuf enumerations.
type HTTPVersion uint8

// The versions.
const (
	HTTP1 HTTPVersion = iota + 1
	HTTP2
)

// TLSVersion is the oldest version of TLS that is spoken. The numbers are those of the API.
type TLSVersion uint8

// The versions.
const (
	TLS12 TLSVersion = iota + 1
	TLS13
)

// HostKind says where the Host header of requests to a target comes from. The numbers are the store's.
type HostKind uint8

// The kinds.
const (
	HostTarget HostKind = iota + 1 // the host of the target's URL
	HostCaller                     // what the caller addressed
	HostText                       // a fixed text
)

// Host says which Host header targets get.
type Host struct {
	Kind HostKind `json:"kind"`
	Text string   `json:"text,omitempty"` // for HostText
}

// Timeouts are the limits of time beside that for response headers. What is 0 takes the edge's own, and
// without a total there is none.
type Timeouts struct {
	Connect time.Duration `json:"connect_ns,omitempty"`
	Idle    time.Duration `json:"idle_ns,omitempty"`
	Total   time.Duration `json:"total_ns,omitempty"`
}

// Bounds of connections.
const (
	maxConnect = 5 * time.Minute
	maxIdle    = 24 * time.Hour
	maxTotal   = 7 * 24 * time.Hour
	maxPEM     = 65536
	maxHost    = 255
)

func (t *Timeouts) normalize() {
	t.Connect, t.Idle, t.Total = wholeMillis(t.Connect), wholeMillis(t.Idle), wholeMillis(t.Total)
}

func (t *Timeouts) check(p *Problems) {
	checkDuration(p, "timeouts.connect", "The time for a connection", t.Connect, time.Millisecond, maxConnect)
	checkDuration(p, "timeouts.idle", "The longest silence", t.Idle, time.Millisecond, maxIdle)
	checkDuration(p, "timeouts.total", "The time for everything", t.Total, time.Millisecond, maxTotal)
	if t.Total > 0 && t.Connect > t.Total {
		p.Add("timeouts.total", Range, "The time for everything, %s, is shorter than that for a connection, %s.", t.Total, t.Connect)
	}
}

// checkDuration: 0 stands for a default, and is in every range.
func checkDuration(p *Problems, field, what string, d, least, most time.Duration) {
	if d != 0 && (d < least || d > most) && !p.Has(field) {
		p.Add(field, Range, "%s is %s, which is not between %s and %s.", what, d, least, most)
	}
}

func (h *Host) check(p *Problems) {
	switch {
	case h.Kind > HostText:
		p.Add("host_header", Malformed, "This host is not known: use the target's, the caller's or a text.")
	case h.Kind == HostText && !hostAndPort(h.Text):
		p.Add("host_header.text", Malformed, "%q is not a host: write it like api.example.com or api.example.com:8443.", clip(h.Text))
	case h.Kind != HostText && h.Text != "":
		p.Add("host_header.text", Forbidden, "Only a host that is a text has one.")
	}
}

func hostAndPort(s string) bool {
	if host, port, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		return err == nil && n > 0 && strings.Trim(port, "0123456789") == "" && hostName(host)
	}
	if inside, ok := strings.CutPrefix(s, "["); ok {
		inside, ok = strings.CutSuffix(inside, "]")
		ip, err := netip.ParseAddr(inside)
		return ok && err == nil && ip.Is6() && ip.Zone() == ""
	}
	return !strings.Contains(s, ":") && hostName(s)
}

// hostName says whether a text is the name or the address of a host.
func hostName(s string) bool {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Zone() == ""
	}
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

func (e *Endpoint) checkTargets(p *Problems, known secretsKnown) {
	if len(e.Targets) == 0 {
		p.Add("targets", Required, "Name at least one target, for example https://api.example.com.")
	}
	if len(e.Targets) > MaxTargets {
		p.Add("targets", Range, "There are %d targets: at most %d are allowed.", len(e.Targets), MaxTargets)
	}
	checkBalance(p, "balance", e.Balance)
	seen := map[string]bool{}
	for i := range e.Targets {
		t, at := &e.Targets[i], fmt.Sprintf("targets[%d]", i)
		t.check(p, at, e.Balance, known)
		if seen[t.URL] && !p.Has(at+".url") {
			p.Add(at+".url", Duplicate, "The target %s is listed twice.", t.URL)
		}
		seen[t.URL] = true
	}
}

// check adds what is wrong with one target among those that the balance chooses from.
func (t *Target) check(p *Problems, at string, b Balance, known secretsKnown) {
	if code, reason := targetProblem(t.URL); code != "" {
		p.Add(at+".url", code, "%s", reason)
	}
	checkShare(p, at, b, t.Weight, t.Priority)
	if t.HTTP > HTTP2 {
		p.Add(at+".http_version", Malformed, "This version of HTTP is not known: use 1.1 or 2.")
	}
	if t.TLS == nil {
		return
	}
	if strings.HasPrefix(strings.ToLower(t.URL), "http:") {
		p.Add(at+".tls", Forbidden, "The target's URL begins with http, which is not secured: use https, or leave the settings of TLS out.")
	}
	t.TLS.check(p, at+".tls", known)
}

func (t *TLS) check(p *Problems, at string, known secretsKnown) {
	if t.CAPEM != "" {
		checkCertificates(p, at+".ca_pem", t.CAPEM)
	}
	switch {
	case t.ClientCertPEM == "":
	case reference(t.ClientCertPEM):
		known.checkValue(p, at+".client_cert_pem", "The client's certificate", t.ClientCertPEM, true)
	default:
		checkCertificates(p, at+".client_cert_pem", t.ClientCertPEM)
	}
	if t.ClientKey != "" {
		known.checkReference(p, at+".client_key", "The client's key", t.ClientKey)
	}
	switch {
	case t.ClientCertPEM != "" && t.ClientKey == "":
		p.Add(at+".client_key", Required, "There is a client's certificate without its key: store the key as a secret and refer to it.")
	case t.ClientKey != "" && t.ClientCertPEM == "":
		p.Add(at+".client_cert_pem", Required, "There is a client's key without its certificate: add the certificate, in PEM.")
	}
	if t.ServerName != "" && (len(t.ServerName) > maxHost || !hostName(t.ServerName)) {
		p.Add(at+".server_name", Malformed, "%q is not a host name: write it like api.example.com.", clip(t.ServerName))
	}
	if t.MinVersion > TLS13 {
		p.Add(at+".min_version", Malformed, "This version of TLS is not known: use 1.2 or 1.3.")
	}
}

// reference says whether a text is one reference to a secret or a variable, and nothing else.
func reference(text string) bool {
	v, err := headervalue.Parse(text)
	if err != nil || len(v.Refs()) != 1 {
		return false
	}
	r := v.Refs()[0]
	return text == "${"+string(r.Kind)+":"+r.Name+"}"
}

// checkCertificates wants certificates and nothing else. Text between them, as bundles have it, may stay.
func checkCertificates(p *Problems, field, text string) {
	if len(text) > maxPEM {
		p.Add(field, Range, "It has %d bytes: at most %d are allowed.", len(text), maxPEM)
		return
	}
	if strings.ContainsRune(text, 0) {
		p.Add(field, Malformed, "It is not text: paste the certificates in PEM, which begins with -----BEGIN CERTIFICATE-----.")
		return
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		p.Add(field, Forbidden, "There is a private key in it, which everybody could read who may read endpoints: leave it out, and store it as a secret.")
		return
	}
	n := 0
	for rest := []byte(text); ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			p.Add(field, Malformed, "There is something else than certificates in it: %q.", clip(block.Type))
			return
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			p.Add(field, Malformed, "Certificate %d in it cannot be read: copy it again, whole.", n+1)
			return
		}
	}
	if got := strings.Count(text, "-----BEGIN "); n == 0 || n != got {
		p.Add(field, Malformed, "%d of %d certificates in it can be read: paste them in PEM, which begins with -----BEGIN CERTIFICATE-----.", n, got)
	}
}
