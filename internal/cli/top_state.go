package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// topWindow is over how many seconds rates are taken: long enough to be read, short enough to follow.
const topWindow = 10

// topRow is what one endpoint, or one key, did in the last seconds.
type topRow struct {
	name     string
	requests int64 // in the window
	errors   int64 // of these, refused or answered with 5xx
	spent    money.Nanos
	longest  time.Duration
}

// second is what happened in one.
type second struct {
	at       int64 // Unix time
	requests int64
	errors   int64
	spent    money.Nanos
	longest  time.Duration
}

// topState is everything that top shows. It knows no terminal and no clock.
type topState struct {
	nodes     []*controlv1.Node
	revision  int64
	endpoints map[string]*[topWindow]second
	keys      map[string]*[topWindow]second
	leftOut   int64 // requests that were counted and not told, since the start
}

func newTopState() *topState {
	return &topState{endpoints: map[string]*[topWindow]second{}, keys: map[string]*[topWindow]second{}}
}

func (s *topState) fleet(m *controlv1.WatchFleetResponse) {
	s.nodes, s.revision = m.GetNodes(), m.GetRevision()
}

// seen adds requests to the second in which they are told.
func (s *topState) seen(m *controlv1.TailRequestsResponse, now time.Time) {
	s.leftOut += m.GetLeftOut()
	for _, q := range m.GetRequests() {
		s.count(s.endpoints, first(q.GetEndpoint(), "(none)"), q, now)
		s.count(s.keys, first(q.GetKey(), "(none)"), q, now)
	}
}

func (s *topState) count(all map[string]*[topWindow]second, name string, q *controlv1.SeenRequest, now time.Time) {
	seconds := all[name]
	if seconds == nil {
		seconds = new([topWindow]second)
		all[name] = seconds
	}
	in := &seconds[now.Unix()%topWindow]
	if in.at != now.Unix() {
		*in = second{at: now.Unix()}
	}
	in.requests++
	if q.GetStatus() >= 500 || q.GetCode() != "" {
		in.errors++
	}
	if cost, err := contract.MoneyFromProto(q.GetCost()); err == nil && q.GetCost() != nil {
		in.spent += cost
	}
	in.longest = max(in.longest, q.GetGateway().AsDuration()+q.GetUpstream().AsDuration())
}

// The orders of the lower list, in which `s` goes through them.
var topOrders = []string{"requests", "spend", "errors", "name"}

// rows are those that did anything in the window, in order. What did nothing for that long is forgotten.
func (s *topState) rows(all map[string]*[topWindow]second, order, filter string, now time.Time) []topRow {
	var out []topRow
	for name, seconds := range all {
		row := topRow{name: name}
		for _, in := range seconds {
			if age := now.Unix() - in.at; age >= 0 && age < topWindow {
				row.requests, row.errors, row.spent = row.requests+in.requests, row.errors+in.errors, row.spent+in.spent
				row.longest = max(row.longest, in.longest)
			}
		}
		if row.requests == 0 {
			delete(all, name)
			continue
		}
		if strings.Contains(strings.ToLower(name), strings.ToLower(filter)) {
			out = append(out, row)
		}
	}
	slices.SortFunc(out, func(a, b topRow) int {
		by := 0
		switch order {
		case "spend":
			by = cmp.Compare(b.spent, a.spent)
		case "errors":
			by = cmp.Compare(b.errors, a.errors)
		case "requests":
			by = cmp.Compare(b.requests, a.requests)
		}
		return cmp.Or(by, strings.Compare(a.name, b.name))
	})
	return out
}

// edgeTable is the upper half: every edge, and the targets that it leaves alone.
func (s *topState) edgeTable(filter string) table {
	t := table{
		head:  []string{"EDGE", "STATUS", "REV", "REQ/S", "IN FLIGHT", "P99", "UNBOOKED", "BREAKERS"},
		right: []string{"REV", "REQ/S", "IN FLIGHT", "P99", "UNBOOKED"},
	}
	for _, n := range s.nodes {
		if !strings.Contains(strings.ToLower(n.GetId()), strings.ToLower(filter)) {
			continue
		}
		var left []string
		for _, target := range n.GetTargets() {
			if target.GetState() != "ok" && target.GetState() != "" {
				left = append(left, target.GetEndpoint()+" "+target.GetState())
			}
		}
		t.add(n.GetId(), nodeStatus(n), fmt.Sprintf("%d/%d", n.GetRevision(), s.revision), fmt.Sprintf("%.1f", n.GetRequestRate()), count(n.GetInFlight()),
			shortTime(time.Duration(n.GetOverheadP99Us())*time.Microsecond), count(n.GetSpoolEvents()), list(left, "-"))
	}
	return t
}

// rateTable is the lower half.
func rateTable(what string, rows []topRow) table {
	t := table{head: []string{what, "REQ/S", "ERRORS", "SPEND/MIN", "LONGEST"}, right: []string{"REQ/S", "ERRORS", "SPEND/MIN", "LONGEST"}}
	for _, r := range rows {
		t.add(r.name, fmt.Sprintf("%d.%d", r.requests/topWindow, r.requests%topWindow*10/topWindow), count(r.errors), (r.spent * 60 / topWindow).Dollars(), shortTime(r.longest))
	}
	return t
}
