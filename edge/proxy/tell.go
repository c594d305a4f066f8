package proxy

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tollgate/edge/seen"
)

// sentBytes counts what an answer's body has.
type sentBytes struct {
	Responder
	n int64
}

// Write counts what the caller took.
func (s *sentBytes) Write(p []byte) (int, error) {
	n, err := s.Responder.Write(p)
	s.n += int64(n)
	return n, err
}

// gateway is how much of the time of an exchange that is over the gateway itself needed, until it sent status and headers: from
// then on it goes as fast as the target sends and the caller takes.
func (c *call) gateway(took time.Duration) time.Duration {
	if c.head > 0 {
		took = c.head
	}
	return max(took-c.upstream, 0)
}

// tell lets whoever watches see the exchange.
func (c *call) tell(took time.Duration) {
	if !c.g.d.Seen.Wants(c.code == "" && c.status > 0 && c.status < http.StatusBadRequest) {
		return
	}
	e := seen.Exchange{
		ID: c.id, Ended: c.began.Add(took), Method: c.x.Method, Path: c.shownPath(), Status: c.status, Code: string(c.code),
		Gateway: c.gateway(took), FirstByte: c.upstream, Attempts: c.spend.attempt, AnswerBytes: c.sent.n, Address: c.x.Remote, Source: c.x.Source,
		Cost: c.spend.charged, Charged: c.spend.attempt > 0, Unpriced: c.now != nil && c.now.end.unpriced || c.unpriced(),
	}
	e.Setup = seen.Setup(c.setup)
	if e.Path != hidden && !strings.Contains(c.refusal, keyPrefix) {
		e.Message = c.refusal
	}
	e.Upstream = max(took-e.Gateway, 0)
	if host, _, err := net.SplitHostPort(e.Address); err == nil {
		e.Address = host
	}
	if c.table != nil {
		e.Revision = c.table.Version().Revision
	}
	switch {
	case c.endpoint != nil:
		e.Endpoint = c.endpoint.Name
	case c.missed != nil:
		e.Endpoint = c.missed.Name
	}
	switch {
	case c.key != nil:
		e.Key, e.Team, e.Customer, e.Tags = c.key.Name, c.key.Team, c.labels.customer, c.labels.tags
	case c.refused != nil:
		e.Key, e.Team = c.refused.Name, c.refused.Team
	}
	if c.body != nil {
		e.RequestBytes = c.body.seen()
	}
	if t := c.now; t != nil && t.hop != nil {
		e.Deployment = t.hop.d.Name
	}
	c.g.d.Seen.Add(e)
}

// hidden stands for a path that has a key in it.
const hidden = "/…"

// shownPath is the path, unless a key stands in it: a request that is refused for that is seen as well.
func (c *call) shownPath() string {
	path := c.path
	if path == "" {
		path, _, _ = strings.Cut(c.x.Target, "?")
	}
	plain, err := url.PathUnescape(path)
	if err != nil {
		plain = path
	}
	found := &c.found
	if found.secret == "" {
		header := ""
		if c.endpoint != nil {
			header = c.endpoint.KeyHeader
		}
		secret, _ := findCredential(c.x, c.query, header, func([32]byte) bool { return false })
		found = &credential{secret: secret}
	}
	if strings.Contains(plain, keyPrefix) || len(found.secret) >= shortestScrubbed && found.hiddenIn(path) {
		return hidden
	}
	return path
}
