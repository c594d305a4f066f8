package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/seen"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// Seen is what edges have seen of requests.
type Seen interface {
	// ByID finds a request, and waits so long for one that is not known yet; nil if there is none.
	ByID(ctx context.Context, requestID string, wait time.Duration) *controlv1.SeenRequest
	Tail(from seen.Position) *seen.Tail
	TailNow() *seen.Tail
	TailSince(at time.Time) *seen.Tail
}

type requestService struct {
	controlv1connect.UnimplementedRequestServiceHandler

	store    *store.Store
	ledger   *Ledger
	seen     Seen
	stopping <-chan struct{}
}

// mostRecords is how many records of one request are told: each attempt has one, and one for each correction.
const mostRecords = 100

// GetRequest answers with what there is: edges tell at once what they have seen, and the ledger has booked a moment later.
func (s *requestService) GetRequest(ctx context.Context, req *controlv1.GetRequestRequest) (*controlv1.GetRequestResponse, error) {
	if !id.Is(id.Request, req.GetRequestId()) {
		p := problems("")
		p.Add("request_id", registry.Malformed, "%q is not the id of a request: it is in the answer's header %s.", req.GetRequestId(), requestIDHeader)
		return nil, p.Err("the call")
	}
	reach, err := teamsOf(ctx, s.store)
	if err != nil {
		return nil, err
	}
	out := &controlv1.GetRequestResponse{}
	if s.seen != nil {
		if r := s.seen.ByID(ctx, req.GetRequestId(), 0); r != nil && reach.covers(r.GetTeam()) {
			out.Seen = r
		}
	}
	records, err := s.records(ctx, req.GetRequestId(), reach)
	if err != nil && out.GetSeen() == nil {
		return nil, err
	}
	if out.Records = records; len(records) == 0 && out.GetSeen() == nil {
		return nil, fault.New(fault.ObjectNotFound, "There is no request %s.", req.GetRequestId()).
			WithHint("Refused requests are kept for minutes, and charged ones are in the records a moment after they end.")
	}
	return out, nil
}

func (s *requestService) records(ctx context.Context, requestID string, reach reach) ([]*controlv1.RequestRecord, error) {
	usage := &usageService{store: s.store, ledger: s.ledger}
	filter, err := usage.filterFrom(ctx, &controlv1.RequestFilter{RequestId: requestID}, time.Now())
	if err != nil {
		return nil, err
	}
	ask := &ledgerv1.ListRequestsRequest{Filter: filter, PageSize: mostRecords, OldestFirst: true}
	names := idNames{}
	var out []*controlv1.RequestRecord
	for len(out) < mostRecords {
		page, err := s.ledger.listRequests(ctx, ask)
		if err != nil {
			return nil, err
		}
		if err := find(ctx, s.store, names, events(page.GetRequests())); err != nil {
			return nil, err
		}
		for _, r := range page.GetRequests() {
			if reach.covers(r.GetEvent().GetTeam()) {
				out = append(out, recordTo(r, names))
			}
		}
		if ask.PageToken = page.GetNextPageToken(); ask.GetPageToken() == "" {
			break
		}
	}
	return out, nil
}

// quiet is the longest time without a message of a tail.
const quiet = 10 * time.Second

// TailRequests sends what matches as it comes. Its first message tells where it begins.
func (s *requestService) TailRequests(ctx context.Context, req *controlv1.TailRequestsRequest, stream *connect.ServerStream[controlv1.TailRequestsResponse]) error {
	p := problems("")
	var from seen.Position
	since := req.GetSince().AsDuration()
	if text := req.GetResumeToken(); text != "" {
		var err error
		if from, err = seen.ParseToken(text); err != nil {
			p.Add("resume_token", registry.Malformed, "It is not a token of this stream: send the last one that was received, or none.")
		}
		if req.GetSince() != nil {
			p.Add("since", registry.Forbidden, "It cannot be sent with a token, which says where to go on.")
		}
	}
	if since < 0 {
		p.Add("since", registry.Range, "%s is negative: it is how long ago.", since)
	}
	match, err := s.matcher(ctx, req, p)
	if err != nil {
		return err
	}
	if err := p.Err("the call"); err != nil {
		return err
	}
	if s.seen == nil {
		return fault.New(fault.UnavailableErr, "This control plane does not hear of requests.")
	}
	var tail *seen.Tail
	begin := time.Now().Add(-since)
	switch {
	case req.GetResumeToken() != "":
		tail, begin = s.seen.Tail(from), time.Time{}
	case since > 0:
		tail = s.seen.TailSince(begin)
	default:
		tail, begin = s.seen.TailNow(), time.Time{}
	}
	defer tail.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the call
		select {
		case <-s.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	send := func(m *controlv1.TailRequestsResponse) error {
		m.ResumeToken = tail.Position().Token()
		return sendWithin(ctx, func() error { return stream.Send(m) })
	}
	return s.tail(ctx, tail, match, begin, pace{most: int64(req.GetMostPerSecond())}, send)
}

func (s *requestService) tail(ctx context.Context, tail *seen.Tail, match *tailMatcher, begin time.Time, pace pace, send func(*controlv1.TailRequestsResponse) error) error {
	if err := send(&controlv1.TailRequestsResponse{}); err != nil {
		return err
	}
	sent := time.Now()
	var left int64
	for {
		batches, gap, err := tail.Next(ctx, max(quiet-time.Since(sent), 0))
		if err != nil {
			return nil //nolint:nilerr // the caller has left, or the process stops: the token goes on elsewhere
		}
		m := &controlv1.TailRequestsResponse{Gap: gap}
		for _, b := range batches {
			for _, r := range b.Requests {
				if !r.GetTime().AsTime().Before(begin) && match.matches(r) {
					m.Requests = append(m.Requests, r)
				}
			}
		}
		// Of what came together the newest is what somebody wants to see who cannot see all.
		takes := pace.takes(time.Now(), int64(len(m.Requests)))
		left += int64(len(m.Requests)) - takes
		m.Requests = m.Requests[int64(len(m.Requests))-takes:]
		if len(m.GetRequests()) == 0 && !gap && time.Since(sent) < quiet {
			continue
		}
		m.LeftOut, left = left, 0
		if err := send(m); err != nil {
			return err
		}
		sent = time.Now()
	}
}

// pace lets so many pass in a second, evenly, and as many at once after a pause; none of it stands for all.
type pace struct {
	most int64
	left int64     // that may pass now
	at   time.Time // when left was that
}

// takes says how many of n may pass now.
func (p *pace) takes(now time.Time, n int64) int64 {
	if p.most == 0 {
		return n
	}
	if gone := now.Sub(p.at); p.at.IsZero() || gone >= time.Second {
		p.left, p.at = p.most, now
	} else if gained := int64(gone) * p.most / int64(time.Second); gained > 0 {
		p.left = min(p.left+gained, p.most)
		p.at = p.at.Add(time.Duration(gained) * time.Second / time.Duration(p.most))
	}
	n = min(n, p.left)
	p.left -= n
	return n
}
