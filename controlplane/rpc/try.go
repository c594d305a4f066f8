package rpc

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/access"
	"tollgate/controlplane/fleet"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
)

// TicketMaker makes the ticket by which one request to an edge acts as the key with a hash.
type TicketMaker func(hash [32]byte, edge, source string) (ticket string, expires time.Time, err error)

type tryService struct {
	store   *store.Store
	nodes   Nodes
	edges   Edges
	tickets TicketMaker
	seen    Seen // nil: nobody tells what edges see
	to      *sender
}

// CreateTicket makes a ticket. It is in this answer and nowhere else.
func (s *tryService) CreateTicket(ctx context.Context, req *controlv1.CreateTicketRequest) (*controlv1.CreateTicketResponse, error) {
	hash, err := s.keyHash(ctx, req.GetKey())
	if err != nil {
		return nil, err
	}
	n, err := s.edge(ctx, req.GetNode())
	if err != nil {
		return nil, err
	}
	text, expires, err := s.ticket(ctx, hash, n)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateTicketResponse{Ticket: text, Node: n.GetEdge(), Address: addressOf(n), ExpireTime: timestamppb.New(expires)}, nil
}

// Invoke sends a request as a key whose secret nobody here has. Whoever calls stays the one who waits: if they leave, the request is
// given up as any caller's would be.
func (s *tryService) Invoke(ctx context.Context, req *controlv1.InvokeRequest, stream *connect.ServerStream[controlv1.InvokeResponse]) error {
	send := func(m *controlv1.InvokeResponse) error {
		return sendWithin(ctx, func() error { return stream.Send(m) })
	}
	p := problems("")
	limit := durationFrom(req.GetTimeout(), "timeout", "The time for the request", p)
	checkTry(p, req, limit)
	if err := p.Err("the request"); err != nil {
		return err
	}
	var hash []byte
	if req.GetKey() != "" {
		var err error
		if hash, err = s.keyHash(ctx, req.GetKey()); err != nil {
			return err
		}
	} else if !access.From(ctx).Everywhere.Has(access.Try) {
		// What nobody's key pays for is everybody's.
		return fault.New(fault.PermissionDenied, "Requests without a key are sent by those who may try everything: name a key of your team.")
	}
	if req.GetDryRun() {
		told, err := s.edges.Explain(ctx, req.GetNode(), &eventv1.ExplainCall{
			Method: req.GetMethod(), Path: req.GetPath(), KeySha256: hash, Headers: req.GetHeaders(),
			Body: req.GetBody(), BodyBytes: int64(len(req.GetBody())),
		})
		if err != nil {
			return err
		}
		return send(&controlv1.InvokeResponse{Event: &controlv1.InvokeResponse_Explanation{Explanation: told}})
	}
	n, err := s.edge(ctx, req.GetNode())
	if err != nil {
		return err
	}
	ticket := ""
	if hash != nil {
		if ticket, _, err = s.ticket(ctx, hash, n); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(limit, usualTry))
	defer cancel()
	if err := send(&controlv1.InvokeResponse{Event: &controlv1.InvokeResponse_Started{
		Started: &controlv1.InvokeStarted{Node: n.GetEdge(), Address: addressOf(n)},
	}}); err != nil {
		return err
	}
	return s.to.invoke(ctx, addressOf(n), ticket, req, s.seen, send)
}

// How long a request may take.
const (
	usualTry   = time.Minute
	longestTry = 10 * time.Minute
)

// keyHash finds a key that the caller may act as. One of another team does not exist for them.
func (s *tryService) keyHash(ctx context.Context, ref string) ([]byte, error) {
	k, err := s.store.Key(ctx, access.From(ctx).Scope(access.Try), ref)
	if err != nil {
		return nil, err
	}
	return s.store.KeyHash(ctx, k.ID)
}

func (s *tryService) ticket(ctx context.Context, hash []byte, n *fleet.Node) (string, time.Time, error) {
	if s.tickets == nil || len(hash) != 32 {
		return "", time.Time{}, fault.New(fault.FailedPrecondition, "This control plane makes no tickets.")
	}
	return s.tickets([32]byte(hash), n.GetEdge(), cmp.Or(access.From(ctx).Via, "api"))
}

// edge finds the edge of a name, or any that serves what is newest, wants requests and is heard of.
func (s *tryService) edge(ctx context.Context, name string) (*fleet.Node, error) {
	st, err := s.store.State(ctx)
	if err != nil {
		return nil, err
	}
	var best []fleet.Node
	for _, n := range s.nodes.Nodes(st.Current, time.Now()) {
		switch {
		case n.Status == fleet.Silent || name != "" && n.GetEdge() != name:
			continue
		case len(best) > 0 && rank(&n) > rank(&best[0]):
			continue
		case len(best) > 0 && rank(&n) < rank(&best[0]):
			best = best[:0]
		}
		best = append(best, n)
	}
	switch {
	case len(best) > 0:
		return &best[rand.IntN(len(best))], nil //nolint:gosec // it spreads load
	case name != "":
		return nil, fault.New(fault.UnavailableErr, "There is no edge %.63q that was heard of lately.", name).WithHint("List the edges with `tollgate nodes`.")
	default:
		return nil, fault.New(fault.UnavailableErr, "No edge was heard of lately that could serve the request.").
			WithHint("Start an edge, or check with `tollgate nodes` why there is none.")
	}
}

// rank is lower for an edge that is rather asked.
func rank(n *fleet.Node) (r int) {
	if n.GetDraining() {
		r += 2
	}
	if n.Status != fleet.Live {
		r++
	}
	return r
}

// addressOf is where an edge is reached: where it says, or else where it listens.
func addressOf(n *fleet.Node) string {
	if told := strings.TrimSuffix(n.GetAdvertised(), "/"); told != "" {
		return told
	}
	host, port, err := net.SplitHostPort(n.GetAddress())
	if err != nil {
		return "http://" + n.GetAddress()
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens on all addresses of its machine and has not said which one others reach
	}
	return "http://" + net.JoinHostPort(host, port)
}

// checkTry finds what cannot be sent as it is.
func checkTry(p *registry.Problems, req *controlv1.InvokeRequest, limit time.Duration) {
	if limit < 0 || limit > longestTry {
		p.Add("timeout", registry.Range, "The time for the request is %s: use up to %s.", limit, longestTry)
	}
	if !token(req.GetMethod()) {
		p.Add("method", registry.Malformed, "%q is not a method: use upper case, such as POST.", clipPath(req.GetMethod()))
	}
	if strings.ContainsFunc(req.GetPath(), func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }) {
		p.Add("path", registry.Malformed, "The path has a character in it that no request line can have: percent-encode it.")
	}
	checkTryHeaders(p, req)
}
