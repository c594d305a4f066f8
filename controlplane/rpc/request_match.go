package rpc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/access"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// matcher decides which requests a tail is about.
type matcher struct {
	*controlv1.SeenFilter

	reach   reach
	keys    []string // by name
	text    string   // in lower case
	minCost money.Nanos
	minTime time.Duration
}

// tailMatcher decides which requests a tail is about: those that match, and nothing of what it leaves out.
type tailMatcher struct {
	matcher

	except []matcher
}

func (m *tailMatcher) matches(r *controlv1.SeenRequest) bool {
	return m.matcher.matches(r) && !slices.ContainsFunc(m.except, func(not matcher) bool { return not.matches(r) })
}

func (s *requestService) matcher(ctx context.Context, req *controlv1.TailRequestsRequest, p *registry.Problems) (*tailMatcher, error) {
	all, err := s.filter(ctx, "filter", req.GetFilter(), p)
	m := &tailMatcher{matcher: all}
	for i, f := range req.GetExcept() {
		if err != nil {
			break
		}
		at := fmt.Sprintf("except[%d]", i)
		if proto.Size(f) == 0 {
			p.Add(at, registry.Required, "It selects every request, and so nothing would be left.")
		}
		var not matcher
		not, err = s.filter(ctx, at, f, p)
		m.except = append(m.except, not)
	}
	return m, err
}

// filter resolves what a filter names by id. Requests carry names.
func (s *requestService) filter(ctx context.Context, at string, f *controlv1.SeenFilter, p *registry.Problems) (matcher, error) {
	m := matcher{SeenFilter: f, text: strings.ToLower(f.GetText()), minTime: f.GetMinTime().AsDuration()}
	var err error
	if m.reach, err = teamsOf(ctx, s.store); err != nil {
		return m, err
	}
	for _, ref := range f.GetKeys() {
		if id.Is(id.Key, ref) {
			k, err := s.store.Key(ctx, access.From(ctx).Scope(access.MoneyRead), ref)
			if err != nil {
				return m, err
			}
			ref = k.Name
		}
		m.keys = append(m.keys, ref)
	}
	for _, team := range f.GetTeams() {
		if !m.reach.covers(team) {
			return m, otherTeam(team)
		}
	}
	if f.GetMinCost() != nil {
		if m.minCost, err = contract.MoneyFromProto(f.GetMinCost()); err != nil {
			p.Add(at+".min_cost", registry.Malformed, "It is not an amount of US dollars: %v.", err)
		}
	}
	if m.minTime < 0 {
		p.Add(at+".min_time", registry.Range, "%s is negative.", m.minTime)
	}
	return m, nil
}

func (m *matcher) matches(r *controlv1.SeenRequest) bool {
	return m.reach.covers(r.GetTeam()) &&
		among(m.GetEndpoints(), r.GetEndpoint()) && among(m.keys, r.GetKey()) && among(m.GetTeams(), r.GetTeam()) &&
		among(m.GetCustomers(), r.GetCustomer()) && among(m.GetMethods(), r.GetMethod()) && among(m.GetEdges(), r.GetEdge()) &&
		m.tagged(r) && m.ended(r) && m.asked(r) && m.dear(r) && m.slow(r) && m.says(r)
}

func among(list []string, one string) bool { return len(list) == 0 || slices.Contains(list, one) }

func (m *matcher) tagged(r *controlv1.SeenRequest) bool {
	return len(m.GetTags()) == 0 || slices.ContainsFunc(r.GetTags(), func(tag string) bool { return slices.Contains(m.GetTags(), tag) })
}

// ended looks at the status: "404", "4xx".
func (m *matcher) ended(r *controlv1.SeenRequest) bool {
	status := [3]byte{byte('0' + r.GetStatus()/100%10), byte('0' + r.GetStatus()/10%10), byte('0' + r.GetStatus()%10)}
	return len(m.GetStatuses()) == 0 || slices.ContainsFunc(m.GetStatuses(), func(wanted string) bool {
		return len(wanted) == len(status) && wanted[0] == status[0] && (wanted[1:] == "xx" || wanted == string(status[:]))
	})
}

func (m *matcher) asked(r *controlv1.SeenRequest) bool {
	return len(m.GetModels()) == 0 || slices.ContainsFunc(m.GetModels(), func(model string) bool {
		return r.GetDeployment() == model || strings.HasPrefix(r.GetDeployment(), model+"/")
	})
}

func (m *matcher) dear(r *controlv1.SeenRequest) bool {
	if m.GetMinCost() == nil {
		return true
	}
	cost, err := contract.MoneyFromProto(r.GetCost())
	return r.GetCost() != nil && err == nil && cost >= m.minCost
}

func (m *matcher) slow(r *controlv1.SeenRequest) bool {
	return r.GetGateway().AsDuration()+r.GetUpstream().AsDuration() >= m.minTime
}

func (m *matcher) says(r *controlv1.SeenRequest) bool {
	if m.text == "" {
		return true
	}
	for _, text := range []string{r.GetPath(), r.GetRequestId(), r.GetCode(), r.GetEndpoint(), r.GetKey(), r.GetTeam(), r.GetCustomer(), r.GetDeployment()} {
		if strings.Contains(strings.ToLower(text), m.text) {
			return true
		}
	}
	return slices.ContainsFunc(r.GetTags(), func(tag string) bool { return strings.Contains(strings.ToLower(tag), m.text) })
}
