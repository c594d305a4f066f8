package nethttp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/edge/routing"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Stages at which a probe can fail. They are part of the API.
const (
	stageAddress = "address"
	stageDNS     = "dns"
	stageConnect = "connect"
	stageTLS     = "tls"
	stageHTTP    = "http"
)

// mostAddresses is how many addresses of a name are told.
const mostAddresses = 16

// Probe connects to a URL by the rules that attempts follow, sends one request that carries nothing, and tells what it found. No
// connection of attempts is used, and none stays. t may be nil.
func (c *Client) Probe(ctx context.Context, raw string, t *routing.Transport) *controlv1.ProbeResult {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	p := &probe{c: c, out: &controlv1.ProbeResult{}, transport: t}
	if p.transport == nil {
		p.transport = &routing.Transport{}
	}
	p.run(ctx, raw)
	return p.out
}

type probe struct {
	c         *Client
	out       *controlv1.ProbeResult
	transport *routing.Transport
	url       *url.URL
	host      string
}

func (p *probe) fail(stage, text string) {
	p.out.Stage, p.out.Error = stage, text
}

func (p *probe) run(ctx context.Context, raw string) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		p.fail(stageAddress, "it is no http or https URL")
		return
	}
	u.User, u.Fragment = nil, ""
	p.url, p.host = u, u.Hostname()
	if !p.lookUp(ctx) {
		return
	}
	conn := p.connect(ctx)
	if conn == nil {
		return
	}
	defer conn.Close()
	p.ask(ctx, conn)
}

// lookUp finds the addresses of the name, and refuses before anything is sent where each of them is one that is not connected to.
func (p *probe) lookUp(ctx context.Context) bool {
	resolver := p.c.cfg.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	began := time.Now()
	found, err := resolver.LookupNetIP(ctx, "ip", p.host)
	if _, numeric := netip.ParseAddr(p.host); numeric != nil {
		p.out.Dns = durationpb.New(time.Since(began))
	}
	if err != nil {
		p.fail(stageDNS, connectText(err))
		if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
			p.out.Suggestion = likelyHost(p.host)
		}
		return false
	}
	var refused error
	allowed := false
	for i, ip := range found {
		if i < mostAddresses {
			p.out.Addresses = append(p.out.Addresses, ip.Unmap().String())
		}
		if err := checkIP(ip.WithZone("").Unmap(), p.c.cfg.AllowPrivate); err != nil {
			refused = err
		} else {
			allowed = true
		}
	}
	if refused != nil && !allowed {
		p.fail(stageAddress, "its address is one that this edge does not connect to")
		return false
	}
	return true
}

// connect makes the connection, with TLS where the URL says so; nil if it cannot.
func (p *probe) connect(ctx context.Context) net.Conn {
	port := p.url.Port()
	if port == "" {
		port = p.url.Scheme // both have a well-known one
	}
	var d dialer
	d.set(p.c.life, &p.c.cfg, p.transport)
	began := time.Now()
	conn, err := d.dial(ctx, time.Time{}, "tcp", net.JoinHostPort(p.host, port))
	p.out.Connect = durationpb.New(max(time.Since(began)-p.out.GetDns().AsDuration(), 0))
	switch {
	case errors.Is(err, errAddress):
		p.fail(stageAddress, "its address is one that this edge does not connect to")
		return nil
	case err != nil:
		p.fail(stageConnect, connectText(err))
		return nil
	case p.url.Scheme == "http":
		return conn
	}
	cfg, text, err := configOf(p.c.cfg.TLS, p.transport)
	if err != nil {
		conn.Close()
		p.fail(stageTLS, text)
		return nil
	}
	if cfg.ServerName == "" {
		cfg.ServerName = p.host
	}
	cfg.NextProtos = []string{"h2", "http/1.1"}
	secure := tls.Client(conn, cfg)
	began = time.Now()
	err = secure.HandshakeContext(ctx)
	p.out.Tls = durationpb.New(time.Since(began))
	if err != nil {
		conn.Close()
		p.fail(stageTLS, tlsText(err))
		return nil
	}
	if chain := secure.ConnectionState().PeerCertificates; len(chain) > 0 {
		p.out.CertificateExpireTime = timestamppb.New(chain[0].NotAfter)
	}
	return secure
}

// ask sends a request on the connection.
func (p *probe) ask(ctx context.Context, conn net.Conn) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	give := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	t := &http.Transport{
		Protocols: &protocols, DialContext: give, DialTLSContext: give, DisableCompression: true, MaxResponseHeaderBytes: p.c.cfg.MaxHeader,
	}
	defer t.CloseIdleConnections()
	began := time.Now()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() {
		p.out.FirstByte = durationpb.New(time.Since(began))
	}})
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, p.url.String(), http.NoBody)
	if err != nil {
		p.fail(stageHTTP, "it cannot be written as HTTP")
		return
	}
	answer, err := t.RoundTrip(r)
	switch {
	case err != nil && ctx.Err() != nil:
		p.fail(stageHTTP, "there was no answer in time")
	case err != nil:
		p.fail(stageHTTP, AnswerText(err))
	default:
		answer.Body.Close()
		p.out.Reached, p.out.Status, p.out.Protocol = true, int32(answer.StatusCode), answer.Proto
	}
}

// endings are ends of names that people type and that nobody has, and what they mean.
var endings = map[string]string{
	"con": "com", "cmo": "com", "ocm": "com", "vom": "com", "xom": "com", "comm": "com", "coom": "com",
	"nte": "net", "ent": "net", "met": "net", "ogr": "org", "rog": "org", "orgg": "org", "oi": "io", "ia": "ai", "aii": "ai",
}

// likelyHost is the name that was probably meant by one that does not exist; empty if there is no telling.
func likelyHost(host string) string {
	at := strings.LastIndexByte(host, '.')
	if at <= 0 {
		return ""
	}
	if meant := endings[strings.ToLower(host[at+1:])]; meant != "" {
		return host[:at+1] + meant
	}
	return ""
}
