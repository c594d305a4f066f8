package meter_test

import (
	"strings"
	"testing"
	"time"

	"tollgate/internal/meter"
	"tollgate/internal/money"
)

// Guarantee: what begins a job is charged what was held for it; what tells that it is done says what it costs, once it is
// known; what asks costs nothing, and a job that failed nothing either.
func TestJobs(t *testing.T) {
	t.Parallel()
	plan := compile(t, read(t, "jobs"))
	begun := meter.Told{ID: "j1", State: meter.Running, Begins: true, TTL: time.Hour, Free: true}
	told := meter.Told{ID: "j1", TTL: 24 * time.Hour}
	waited := meter.Told{ID: "j1", Begins: true, TTL: 24 * time.Hour}
	with := func(t meter.Told, s meter.JobState) *meter.Told {
		t.State = s
		return &t
	}
	asBegun := with(told, meter.Done)
	asBegun.AsBegun = true
	for _, c := range []struct {
		request, body string
		status        int
		job           *meter.Told
		charged       bool
		cost          money.Nanos
		unpriced      string
	}{
		{"POST /v1/predictions", `{"id":"j1","status":"starting"}`, 201, &begun, true, 300_000_000, ""},
		{"POST /v1/predictions", `{"status":"starting"}`, 201, nil, true, 300_000_000, "does not name the job"},
		{"POST /v1/predictions", `{"id":"j1"}`, 422, nil, false, 0, ""},
		{"GET /v1/predictions/j1", `{"id":"j1","status":"processing"}`, 200, with(told, meter.Running), false, 0, ""},
		{"GET /v1/predictions/j1", `{"id":"j1","status":"succeeded","metrics":{"predict_time":2.811363}}`, 200, with(told, meter.Done), true, 632_557, ""},
		{"GET /v1/predictions/j1", `{"status":"succeeded","metrics":{"predict_time":2}}`, 200, with(told, meter.Done), true, 450_000, ""},
		{"GET /v1/predictions/j1", `{"id":"j1","status":"succeeded"}`, 200, with(told, meter.Done), true, 50_000_000, "seconds was not found"},
		{"GET /v1/predictions/j1", `{"id":"j1","status":"canceled","metrics":{"predict_time":2}}`, 200, with(told, meter.Failed), false, 0, ""},
		{"GET /v1/predictions/j1", `{"id":"j1","status":"succeeded"}`, 500, nil, false, 0, ""},
		{"POST /v1/wait", `{"id":"j1","status":"succeeded"}`, 200, with(waited, meter.Done), true, 40_000_000, ""},
		{"POST /v1/wait", `{"id":"j1","status":"running"}`, 200, with(waited, meter.Running), true, 300_000_000, ""},
		{"POST /v1/wait", `{"id":"j1","status":"failed"}`, 200, with(waited, meter.Failed), false, 0, ""},
		{"POST /v1/wait", `{"status":"succeeded"}`, 200, nil, true, 40_000_000, ""},
		{"GET /v2/status/j1", `{"status":"COMPLETED"}`, 200, asBegun, false, 0, ""},
		{"GET /v2/status/j1", `{"status":"ERROR"}`, 200, with(told, meter.Failed), false, 0, ""},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		a := said(c.body)
		a.status, a.held = c.status, 300_000_000
		r := &meter.Request{Method: method, Path: path, Whole: true}
		if h := plan.Match(r).Hold(r, nil); (h.Amount > 0) != (method == "POST") {
			t.Errorf("%s: hold %+v", c.request, h)
		}
		b := play(t, plan, r, a)
		same := b.Job == c.job || b.Job != nil && c.job != nil && *b.Job == *c.job
		if !same || b.Charged != c.charged || b.Cost != c.cost || !strings.Contains(strings.Join(b.Unpriced, ";"), c.unpriced) || (c.unpriced == "") != (len(b.Unpriced) == 0) {
			t.Errorf("%s answered %d %s: %+v, job %+v", c.request, c.status, c.body, b, b.Job)
		}
	}
}

// Guarantee: which meter reads a request is what their order and their matches say, and what none reads costs what the price
// says of that.
func TestMatch(t *testing.T) {
	t.Parallel()
	const text = `
fallback: "0.05"
meters:
  - {name: get, free: true, match: {methods: [GET, HEAD]}}
  - {name: rerank, base: "1", match: {path: '^/v[12]/rerank$'}}
  - {name: socket, base: "1", match: {websocket: true}}
unmatched: `
	plan := parse(t, text+"unpriced")
	for _, c := range []struct {
		method, path string
		socket       bool
		want         string
	}{
		{"GET", "/v1/rerank", false, "get"},
		{"POST", "/v1/rerank", false, "rerank"},
		{"POST", "/v1/rerank/x", false, ""},
		{"GET", "/v1/rerank", true, "socket"},
	} {
		name := ""
		if m := plan.Match(&meter.Request{Method: c.method, Path: c.path, WebSocket: c.socket}); m != nil {
			name = m.Name
		}
		if name != c.want {
			t.Errorf("%+v is read by %q", c, name)
		}
	}
	if b := plan.Unread(); !b.Charged || b.Cost != 50_000_000 || len(b.Unpriced) != 1 {
		t.Errorf("%+v", b)
	}
	if b := parse(t, text+"free").Unread(); b.Charged || b.Cost != 0 {
		t.Errorf("%+v", b)
	}
	if b := play(t, plan, &meter.Request{Method: "GET"}, said(`{}`)); b.Charged || b.Cost != 0 || b.Meter != "get" {
		t.Errorf("a free meter: %+v", b)
	}
}

// Guarantee: values are found in the request wherever it carries them.
func TestRequestSources(t *testing.T) {
	t.Parallel()
	plan := parse(t, `
unmatched: free
fallback: held
meters:
  - name: a
    base: "1"
    model: [{form: model}, {query: model}, {path: '^/deployments/([^/]+)/'}, {request_header: x-model}]
    counters: [{name: n, sources: [{form: n}, {query: n}, {request_header: x-n}, {request: n}], optional: true}]
`)
	multipart := "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n2\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n" + strings.Repeat("x", 5000)
	for _, c := range []struct {
		r             meter.Request
		kind          string
		model, counts string
	}{
		{meter.Request{Body: []byte(multipart)}, "multipart/form-data; boundary=b", "whisper-1", "n=2"},
		{meter.Request{Body: []byte("model=a+b&n=3"), Whole: true}, "application/x-www-form-urlencoded", "a b", "n=3"},
		{meter.Request{Query: "x=1&model=nova%2D3&n=4"}, "", "nova-3", "n=4"},
		{meter.Request{Path: "/deployments/a%3Ab/chat"}, "", "a:b", ""},
		{meter.Request{Body: []byte(`{"n":5}`), Whole: true}, "application/json", "header", "n=5"},
		// What cannot be read leaves the cost unknown; the model is noted for who prices it later.
		{meter.Request{Body: []byte(`{"n":5}`)}, "application/json", "header", "@model=header"},
		{meter.Request{Body: []byte(`{"n":5`), Whole: true}, "application/json", "header", "@model=header"},
	} {
		c.r.Method = "POST"
		c.r.Header = func(name string) string {
			switch {
			case strings.EqualFold(name, "Content-Type"):
				return c.kind
			case strings.EqualFold(name, "X-Model"):
				return "header"
			}
			return ""
		}
		if b := play(t, plan, &c.r, said(`{}`)); b.Model != c.model || b.Counts != c.counts {
			t.Errorf("%s %s: %q, %q", c.kind, c.r.Query, b.Model, b.Counts)
		}
	}
}
