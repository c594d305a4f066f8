package list_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/list"
	"tollgate/edge/routing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

func models(tb testing.TB) []*routing.Model {
	tb.Helper()
	s := &eventv1.RouteSnapshot{}
	for _, m := range []*eventv1.RouteModel{
		{Name: "gpt-4o", Aliases: []string{"best", "a/b"}, CreateUnix: 1700000000},
		{Name: "claude", CreateUnix: 1700000001},
		{Name: "openai/*", Aliases: []string{"any"}},
	} {
		m.Id = m.GetName()
		m.Deployments = []*eventv1.RouteDeployment{{
			Name: "one", Schemas: []controlv1.Schema{controlv1.Schema_SCHEMA_OPENAI_CHAT},
			Upstream: &eventv1.RouteEndpoint{Id: "x", Targets: []string{"http://x"}},
		}}
		s.Models = append(s.Models, m)
	}
	t, err := routing.Compile(s, contract.Version{}, routing.Lookups{})
	if err != nil {
		tb.Fatal(err)
	}
	return t.Models()
}

// Guarantee: a list has each name and alias that the key may ask for, in order, and no pattern.
func TestNames(t *testing.T) {
	t.Parallel()
	all := list.Of(models(t), func(string) bool { return true })
	want := []list.Entry{{"a/b", 1700000000}, {"any", 0}, {"best", 1700000000}, {"claude", 1700000001}, {"gpt-4o", 1700000000}}
	if d := cmp.Diff(want, all); d != "" {
		t.Error(d)
	}
	some := list.Of(models(t), func(name string) bool { return name == "best" })
	if d := cmp.Diff([]list.Entry{{"best", 1700000000}}, some); d != "" {
		t.Error(d)
	}
}

// Guarantee: lists and models are written as the vendors' references have them.
func TestForms(t *testing.T) {
	t.Parallel()
	two := []list.Entry{{"a", 1700000000}, {`b"`, 0}}
	for _, tc := range []struct {
		schema  adapter.Schema
		entries []list.Entry
		want    string
	}{
		{adapter.Chat, two, `{"object":"list","data":[{"id":"a","object":"model","created":1700000000,"owned_by":"tollgate"},{"id":"b\"","object":"model","created":0,"owned_by":"tollgate"}]}`},
		{adapter.Responses, nil, `{"object":"list","data":[]}`},
		{adapter.Messages, two, `{"data":[{"type":"model","id":"a","display_name":"a","created_at":"2023-11-14T22:13:20Z"},{"type":"model","id":"b\"","display_name":"b\"","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"a","last_id":"b\""}`},
		{adapter.Messages, nil, `{"data":[],"has_more":false,"first_id":null,"last_id":null}`},
	} {
		got, err := list.All(tc.schema, tc.entries, "")
		if err != nil || string(got) != tc.want || !json.Valid(got) {
			t.Errorf("%s, %v", got, err)
		}
		if len(tc.entries) > 0 && !strings.Contains(tc.want, string(list.One(tc.schema, tc.entries[0]))) {
			t.Errorf("one is %s", list.One(tc.schema, tc.entries[0]))
		}
	}
}

type page struct {
	Data []struct{ ID string }
	More bool   `json:"has_more"`
	Last string `json:"last_id"`
	// First is where the page before ends.
	First string `json:"first_id"`
}

func read(tb rapid.TB, entries []list.Entry, q url.Values) (p page) {
	tb.Helper()
	text, refused := list.All(adapter.Messages, entries, q.Encode())
	if refused != nil {
		tb.Fatal(refused)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		tb.Fatal(err)
	}
	return p
}

// Guarantee: pages in either direction, of any length, come to the whole list, each name once, also where the name that a page began
// at is gone.
func TestPages(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var entries []list.Entry
		var want []string
		for i := range rapid.IntRange(0, 50).Draw(t, "entries") {
			want = append(want, fmt.Sprintf("m%03d", i))
			entries = append(entries, list.Entry{ID: want[i]})
		}
		limit := fmt.Sprint(rapid.IntRange(1, 60).Draw(t, "limit"))
		for _, backwards := range []bool{false, true} {
			var got []string
			q := url.Values{"limit": {limit}}
			if backwards {
				q.Set("before_id", "z")
			}
			for {
				p := read(t, entries, q)
				var ids []string
				for _, d := range p.Data {
					ids = append(ids, d.ID)
				}
				if backwards {
					got = append(ids, got...)
					q.Set("before_id", p.First)
				} else {
					got = append(got, ids...)
					q.Set("after_id", p.Last)
				}
				if !p.More {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("backwards %v: %q", backwards, got)
			}
		}
		if p := read(t, entries, url.Values{"after_id": {"m0005"}}); len(entries) > 1 && p.Data[0].ID != "m001" {
			t.Fatalf("after a name that is gone: %+v", p)
		}
	})
}

// Guarantee: a page that cannot be is refused, and the error names the parameter.
func TestPagesThatAreRefused(t *testing.T) {
	t.Parallel()
	for query, param := range map[string]string{
		"limit=0": "limit", "limit=1001": "limit", "limit=x": "limit", "after_id=a&before_id=b": "after_id", "limit=%zz": "",
	} {
		if _, err := list.All(adapter.Messages, nil, query); err == nil || err.Kind != adapter.Invalid || err.Param != param {
			t.Errorf("%s: %+v", query, err)
		}
		if _, err := list.All(adapter.Chat, nil, query); err != nil {
			t.Errorf("%s: OpenAI's lists have no pages: %v", query, err)
		}
	}
}
