package cli

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

func seenOf(endpoint, key string, cost money.Nanos) *controlv1.SeenRequest {
	return &controlv1.SeenRequest{
		Endpoint: endpoint, Key: key, Status: 200, Cost: contract.MoneyToProto(cost), Gateway: durationpb.New(time.Millisecond), Upstream: durationpb.New(time.Second),
	}
}

func press(keys string) tea.Msg {
	switch keys {
	case "enter":
		return tea.KeyPressMsg{Code: tea.KeyEnter}
	case "esc":
		return tea.KeyPressMsg{Code: tea.KeyEscape}
	case "backspace":
		return tea.KeyPressMsg{Code: tea.KeyBackspace}
	}
	return tea.KeyPressMsg{Code: []rune(keys)[0], Text: keys}
}

// Guarantee: the screen shows edges with what they leave alone above, and rates and spend below, in the order and with the filter
// that keys ask for; q ends it.
func TestTopScreen(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	m := newTopScreen(func() time.Time { return now })
	m.Update(tea.WindowSizeMsg{Width: 120, Height: 30})
	m.Update(&controlv1.WatchFleetResponse{Revision: 185, Nodes: []*controlv1.Node{{
		Id: "fra-1", Status: controlv1.NodeStatus_NODE_STATUS_LIVE, Revision: 184, RequestRate: 2.5, InFlight: 4,
		Targets: []*controlv1.NodeTarget{{Endpoint: "bria", State: "open"}, {Endpoint: "llm", State: "ok"}},
	}}})
	m.Update(&controlv1.TailRequestsResponse{LeftOut: 7, Requests: []*controlv1.SeenRequest{
		seenOf("bria", "ci", 12*money.Dollar), seenOf("llm", "ana", money.Dollar/100), seenOf("llm", "ana", money.Dollar/100),
		{Status: 404, Code: "endpoint_not_found"},
	}})
	want := func(parts ...string) {
		t.Helper()
		text := m.text()
		for _, p := range parts {
			if !strings.Contains(text, p) {
				t.Errorf("there is no %q in\n%s", p, text)
			}
		}
	}
	before := func(a, b string) {
		t.Helper()
		if text := m.text(); strings.Index(text, "\n"+a) > strings.Index(text, "\n"+b) {
			t.Errorf("%s stands after %s:\n%s", a, b, text)
		}
	}
	want("184/185", "fra-1", "bria open", "$72.00", "1.0s", "7 requests were too many", "(none)")
	before("llm", "bria")
	m.Update(press("s"))
	before("bria", "llm")
	m.Update(press("k"))
	want("KEY", "ana")
	for _, k := range []string{"/", "c", "x", "backspace", "i"} {
		m.Update(press(k))
	}
	want("/ci▏")
	m.Update(press("enter"))
	if text := m.text(); strings.Contains(text, "ana") || !strings.Contains(text, "filter: ci") {
		t.Errorf("the filter is not kept:\n%s", text)
	}
	m.Update(press("esc"))
	want("ana")
	m.Update(topLost("Nobody answers."))
	want("✗ Nobody answers.")
	now = now.Add(topWindow * time.Second)
	if text := m.text(); strings.Contains(text, "ana") {
		t.Errorf("what is over is still shown:\n%s", text)
	}
	if _, end := m.Update(press("q")); end == nil {
		t.Error("q does not end it")
	} else if _, quits := end().(tea.QuitMsg); !quits {
		t.Error("q does something else")
	}
}

// Guarantee: whatever comes at whatever time, the rates are those of the last seconds: every request in the window is counted once,
// and its cost to the last nano-dollar.
func TestTopCountsTheWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, now := newTopState(), int64(1_800_000_000)
		type one struct {
			at   int64
			cost money.Nanos
		}
		var all []one
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, 4).Draw(t, "pause")
			cost := money.Nanos(rapid.Int64Range(0, 1e12).Draw(t, "cost"))
			all = append(all, one{now, cost})
			s.seen(&controlv1.TailRequestsResponse{Requests: []*controlv1.SeenRequest{seenOf("bria", "ci", cost)}}, time.Unix(now, 0))
		}
		now += rapid.Int64Range(0, 2*topWindow).Draw(t, "later")
		var want topRow
		for _, o := range all {
			if now-o.at < topWindow {
				want.requests, want.spent = want.requests+1, want.spent+o.cost
			}
		}
		var got topRow
		for _, r := range s.rows(s.endpoints, "spend", "", time.Unix(now, 0)) {
			got = r
		}
		if got.requests != want.requests || got.spent != want.spent {
			t.Fatalf("%d requests for %s, want %d for %s", got.requests, got.spent.Dollars(), want.requests, want.spent.Dollars())
		}
	})
}

// Guarantee: a small terminal shows what fits and counts the rest.
func TestTopFitsTheScreen(t *testing.T) {
	t.Parallel()
	m := newTopScreen(time.Now)
	m.Update(tea.WindowSizeMsg{Width: 60, Height: 18})
	var nodes []*controlv1.Node
	var requests []*controlv1.SeenRequest
	for i := range 50 {
		nodes = append(nodes, &controlv1.Node{Id: "edge-" + count(int64(i))})
		requests = append(requests, seenOf("endpoint-"+count(int64(i)), "ci", 1))
	}
	m.Update(&controlv1.WatchFleetResponse{Nodes: nodes})
	m.Update(&controlv1.TailRequestsResponse{Requests: requests})
	if text := m.text(); strings.Count(text, "\n") >= 18 || strings.Count(text, "… and ") != 2 {
		t.Errorf("%d lines:\n%s", strings.Count(text, "\n"), text)
	}
}
