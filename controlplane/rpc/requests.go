package rpc

import (
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/meter"
	"tollgate/internal/money"
)

const (
	// recordsSince is how far back records are selected by a filter that does not say.
	recordsSince = 24 * time.Hour
	// idSlack is how much earlier than its id says a request may have ended: its edge's clock may have been
	// put back meanwhile.
	idSlack = time.Hour
)

// outcomes are the words for how an attempt ended. They are part of the API.
var outcomes = map[eventv1.SpendOutcome]string{
	eventv1.SpendOutcome_SPEND_OUTCOME_OK:           "ok",
	eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR: "target_error",
	eventv1.SpendOutcome_SPEND_OUTCOME_UNREACHABLE:  "unreachable",
	eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE:  "caller_gone",
	eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED:  "interrupted",
	eventv1.SpendOutcome_SPEND_OUTCOME_ABANDONED:    "abandoned",
	eventv1.SpendOutcome_SPEND_OUTCOME_REFUSED:      "refused",
	eventv1.SpendOutcome_SPEND_OUTCOME_CUT:          "cut",
	eventv1.SpendOutcome_SPEND_OUTCOME_OPENING:      "opening",
}

// jobStates are the words for what a request says of a job. They are part of the API.
var jobStates = map[eventv1.SpendJobState]string{
	eventv1.SpendJobState_SPEND_JOB_STATE_RUNNING: "running",
	eventv1.SpendJobState_SPEND_JOB_STATE_DONE:    "done",
	eventv1.SpendJobState_SPEND_JOB_STATE_FAILED:  "failed",
}

// filterFrom turns a filter into the ledger's, with names resolved and times filled in.
func (s *usageService) filterFrom(ctx context.Context, m *controlv1.RequestFilter, now time.Time) (*ledgerv1.RequestFilter, error) {
	p := problems("filter")
	to := timeFrom(m.GetToTime(), "to_time", "end", p)
	if to.IsZero() {
		to = now
	}
	var request []byte
	since := now.Add(-recordsSince)
	if text := m.GetRequestId(); text != "" {
		named, err := id.Parse(id.Request, text)
		if err != nil {
			p.Add("request_id", registry.Malformed, "%q is not the id of a request: it is in the answer's header %s.", text, requestIDHeader)
		} else if made := named.Time().Add(-idSlack); made.Before(since) {
			since = made // an id tells when its request began, so nobody has to say how far back it is
		}
		request = named[:]
	}
	from := timeFrom(m.GetFromTime(), "from_time", "beginning", p)
	if from.IsZero() {
		from = since
	}
	if !from.Before(to) && !p.Has("from_time") && !p.Has("to_time") {
		p.Add("from_time", registry.Range, "It begins at %s, which is not before its end, %s.",
			from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
	}
	out := &ledgerv1.RequestFilter{
		FromUnixMs: from.UnixMilli(), ToUnixMs: to.UnixMilli(),
		Customer: m.GetCustomer(), Tag: m.GetTag(), Model: m.GetModel(),
		RequestId: request, Unpriced: m.GetUnpriced(), Job: m.GetJob(), Meter: m.GetMeter(), Deployment: m.GetDeployment(),
	}
	if m != nil {
		out.Status = m.Status
	}
	if word := m.GetOutcome(); word != "" {
		for outcome, name := range outcomes {
			if name == word {
				out.Outcome = outcome
			}
		}
		if out.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_UNSPECIFIED {
			p.Add("outcome", registry.Malformed, "%q is not how a request ends: use %s.", word, strings.Join(outcomeWords(), ", "))
		}
	}
	if m.GetMinCost() != nil {
		least, err := contract.MoneyFromProto(m.GetMinCost())
		if err != nil || least < 0 {
			p.Add("min_cost", registry.Malformed, "It is not an amount of US dollars that something may cost.")
		}
		out.MinCostNanos = int64(least)
	}
	if out.MinDurationUs = m.GetMinTime().AsDuration().Microseconds(); out.GetMinDurationUs() < 0 {
		p.Add("min_time", registry.Range, "%s is negative.", m.GetMinTime().AsDuration())
	}
	checkFilters(m.GetFilters(), false, p)
	if err := p.Err("the filter"); err != nil {
		return nil, err
	}
	var err error
	if out.Filters, err = s.filters(ctx, m.GetFilters()); err != nil {
		return nil, err
	}
	if out.KeyId, err = s.keyID(ctx, m.GetKey()); err != nil {
		return nil, err
	}
	if out.EndpointId, err = s.endpointID(ctx, m.GetEndpoint()); err != nil {
		return nil, err
	}
	out.Team, err = s.teamName(ctx, m.GetTeam())
	return out, err
}

// ownFilter is a filter that selects nothing that the caller may not see.
func (s *usageService) ownFilter(ctx context.Context, m *controlv1.RequestFilter, now time.Time) (*ledgerv1.RequestFilter, error) {
	team, err := s.ownTeams(ctx, m.GetTeam(), "filter.team", m.GetFilters())
	if err != nil {
		return nil, err
	}
	out, err := s.filterFrom(ctx, m, now)
	if err == nil {
		out.Team = team
	}
	return out, err
}

func outcomeWords() []string {
	var words []string
	for o := eventv1.SpendOutcome_SPEND_OUTCOME_OK; int(o) < len(eventv1.SpendOutcome_name); o++ {
		if w, ok := outcomes[o]; ok {
			words = append(words, w)
		}
	}
	return words
}

func (s *usageService) ListRequests(ctx context.Context, req *controlv1.ListRequestsRequest) (*controlv1.ListRequestsResponse, error) {
	filter, err := s.ownFilter(ctx, req.GetFilter(), time.Now())
	if err != nil {
		return nil, err
	}
	ask := &ledgerv1.ListRequestsRequest{Filter: filter, PageSize: int32(store.PageSize(int(req.GetPageSize())))}
	if text := req.GetPageToken(); text != "" {
		if ask.PageToken, err = openToken(text, filter); err != nil {
			return nil, err
		}
	}
	page, err := s.ledger.listRequests(ctx, ask)
	if err != nil {
		return nil, err
	}
	names := idNames{}
	if err := find(ctx, s.store, names, events(page.GetRequests())); err != nil {
		return nil, err
	}
	out := &controlv1.ListRequestsResponse{}
	for _, r := range page.GetRequests() {
		out.Requests = append(out.Requests, recordTo(r, names))
	}
	if next := page.GetNextPageToken(); next != "" {
		out.NextPageToken = closeToken(next, filter)
	}
	return out, nil
}

// closeToken makes a page token of the ledger's. It holds the times of the first page as well, so that
// "until now" and "since a day ago" mean the same on all pages.
func closeToken(next string, f *ledgerv1.RequestFilter) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "r1:%d:%d:%s", f.GetFromUnixMs(), f.GetToUnixMs(), next))
}

// openToken gives the ledger's token, and f the times of the first page. Only what closeToken writes is
// a token.
func openToken(text string, f *ledgerv1.RequestFilter) (next string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return "", store.BadToken()
	}
	parts := strings.SplitN(string(raw), ":", 4)
	if len(parts) != 4 || parts[3] == "" || !utf8.ValidString(parts[3]) {
		return "", store.BadToken()
	}
	from, errFrom := strconv.ParseInt(parts[1], 10, 64)
	to, errTo := strconv.ParseInt(parts[2], 10, 64)
	if errFrom != nil || errTo != nil {
		return "", store.BadToken()
	}
	f.FromUnixMs, f.ToUnixMs = from, to
	if closeToken(parts[3], f) != text {
		return "", store.BadToken()
	}
	return parts[3], nil
}

func events(all []*ledgerv1.RequestRecord) iter.Seq[*eventv1.SpendEvent] {
	return func(yield func(*eventv1.SpendEvent) bool) {
		for _, r := range all {
			if !yield(r.GetEvent()) {
				return
			}
		}
	}
}

func recordTo(r *ledgerv1.RequestRecord, names idNames) *controlv1.RequestRecord {
	e := r.GetEvent()
	m := &controlv1.RequestRecord{
		Position:     r.GetPosition(),
		Attempt:      e.GetAttempt(),
		Time:         timeTo(time.UnixMilli(e.GetUnixMs())),
		DurationUs:   e.GetDurationUs(),
		KeyId:        e.GetKeyId(),
		KeyName:      keyName(names, e.GetKeyId()),
		EndpointId:   e.GetEndpointId(),
		EndpointName: names[e.GetEndpointId()],
		Team:         e.GetTeam(),
		Customer:     e.GetCustomer(),
		Tags:         slices.Clone(e.GetTags()),
		Model:        e.GetModel(),
		Status:       e.GetStatus(),
		Outcome:      outcomes[e.GetOutcome()],
		Cost:         contract.MoneyToProto(money.Nanos(e.GetCostNanos())),
		Reserved:     contract.MoneyToProto(money.Nanos(e.GetReservedNanos())),
		Units:        e.GetUnits(),
		PriceVersion: e.GetPriceVersion(),
		Unpriced:     e.GetUnpriced(),
		Corrects:     r.GetCorrects(),
		Edge:         r.GetEdge(),
		Meter:        e.GetMeter(),
		Counts:       countsTo(e.GetCounts()),
		Job:          e.GetJob().GetId(),
		JobState:     jobState(r),
		Deployment:   e.GetDeployment(),
	}
	if raw := e.GetRequestId(); len(raw) == len(id.Bytes{}) {
		m.RequestId = id.Bytes(raw).Text(id.Request)
	}
	if e.GetOutcome() == eventv1.SpendOutcome_SPEND_OUTCOME_OPENING {
		m.KeyName = names[e.GetKeyId()] // it was no request, so nobody came without a key
	}
	for _, d := range e.GetDraws() {
		draw := &controlv1.RequestDraw{
			AccountId: d.GetWindow().GetAccount(), Gen: d.GetWindow().GetGen(), Cost: contract.MoneyToProto(money.Nanos(d.GetNanos())),
		}
		if start := d.GetWindow().GetStart(); start != 0 {
			draw.Start = timeTo(time.Unix(start, 0))
		}
		m.Draws = append(m.Draws, draw)
	}
	return m
}

// jobState is what a record says of a job. A correction that leaves the job unpriced without saying how it ended
// was made because nobody has told.
func jobState(r *ledgerv1.RequestRecord) string {
	e := r.GetEvent()
	if r.GetCorrects() != "" && e.GetUnpriced() && e.GetJob().GetId() != "" && e.GetJob().GetState() == eventv1.SpendJobState_SPEND_JOB_STATE_UNSPECIFIED {
		return "expired"
	}
	return jobStates[e.GetJob().GetState()]
}

// countsTo reads what a meter counted.
func countsTo(text string) map[string]string {
	if text == "" {
		return nil
	}
	counts := map[string]string{}
	for _, c := range meter.Counts(text) {
		counts[c.Name] = c.Value
	}
	return counts
}
