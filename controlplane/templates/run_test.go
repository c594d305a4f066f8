package templates_test

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"tollgate/controlplane/pricebook"
	"tollgate/controlplane/templates"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
	"tollgate/internal/money"
	"tollgate/internal/testenv/vectors"
)

// answers are what tests say for parameters that have no default.
var answers = map[string]string{"resource": "acme", "url": "http://gpu-1:8000", "price": "2.00"}

func entries(t *testing.T) []templates.Entry {
	t.Helper()
	all, err := templates.All()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// filled is the endpoint of a template with its parameters.
func filled(t *testing.T, from *controlv1.Template) *controlv1.Endpoint {
	t.Helper()
	raw, err := protojson.Marshal(from.GetEndpoint())
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, p := range from.GetParameters() {
		value := p.GetDefault()
		if value == "" {
			value = answers[p.GetName()]
		}
		text = strings.ReplaceAll(text, "{"+p.GetName()+"}", value)
	}
	e := &controlv1.Endpoint{}
	if err := protojson.Unmarshal([]byte(text), e); err != nil {
		t.Fatal(err)
	}
	return e
}

func book(t *testing.T) meter.Book {
	t.Helper()
	b, err := pricebook.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	lists := map[string][]*controlv1.ModelPrice{}
	for _, row := range b.Rows {
		lists[row.List] = append(lists[row.List], row.Price)
	}
	for _, rows := range lists {
		slices.SortStableFunc(rows, pricebook.Order)
	}
	return func(list string) []*controlv1.ModelPrice { return lists[list] }
}

func plan(t *testing.T, from *controlv1.Template) *meter.Plan {
	t.Helper()
	p, err := meter.Compile(filled(t, from).GetPrice().GetMetered(), book(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// exchange is a sample or a recording as a meter meets it.
type exchange struct {
	method, path             string // below the endpoint
	requestHeader, header    http.Header
	request, answer          []byte
	status                   int
	websocket, withoutLength bool
}

// of makes an exchange of a recording.
func of(x *vectors.Exchange, at string) exchange {
	out := exchange{
		method: x.Method, path: at, status: x.Status, request: x.RequestBody, answer: x.Body,
		requestHeader: headers(x.RequestHeaders), header: headers(x.Headers),
	}
	if loose(x) {
		out.request = nil // it is the answer again
	}
	out.header.Del("Content-Encoding")
	if out.header.Get("Content-Type") == "" {
		out.header.Set("Content-Type", "application/json")
	}
	return out
}

// loose says whether a recording is an answer without its request.
func loose(x *vectors.Exchange) bool { return strings.Contains(x.URL, ".example/recorded/") }

func headers(list []vectors.Header) http.Header {
	h := http.Header{}
	for _, line := range list {
		h.Add(line.Name, line.Value)
	}
	return h
}

// made makes an exchange of a sample that is not recorded.
func made(s *templates.Sample) exchange {
	out := exchange{
		method: s.Method, path: s.Path, status: int(s.Status), request: []byte(s.Request), answer: []byte(s.Answer),
		requestHeader: http.Header{}, header: http.Header{}, websocket: s.WebSocket,
	}
	if out.method == "" {
		out.method = http.MethodPost
	}
	if out.status == 0 {
		out.status = http.StatusOK
	}
	out.header.Set("Content-Type", "application/json")
	out.requestHeader.Set("Content-Type", "application/json")
	for name, value := range s.Headers {
		out.header.Set(name, value)
	}
	for name, value := range s.RequestHeaders {
		out.requestHeader.Set(name, value)
	}
	return out
}

const held = 7 * money.Dollar

// bill is what the plan makes of an exchange, whose bytes come in these pieces.
func (x exchange) bill(t *testing.T, p *meter.Plan, pieces func([]byte) [][]byte) *meter.Bill {
	t.Helper()
	r := x.asked()
	m := p.Match(r)
	if m == nil {
		t.Fatalf("no meter reads %s %s", x.method, x.path)
	}
	if h := m.Hold(r, nil); !m.Free && h.Amount < 0 {
		t.Errorf("%s holds %s", m.Name, h.Amount)
	}
	reading := m.Start(r, nil)
	for _, piece := range pieces(x.request) {
		reading.Sent(piece)
	}
	reading.Answered(x.status, x.header.Get)
	for _, piece := range pieces(x.answer) {
		reading.Received(piece)
	}
	return reading.End(meter.End{Whole: true, Elapsed: time.Second, Held: held})
}

func (x exchange) asked() *meter.Request {
	path, query, _ := strings.Cut(x.path, "?")
	return &meter.Request{
		Method: x.method, Path: path, Query: query, Header: x.requestHeader.Get, WebSocket: x.websocket,
		Body: x.request, Whole: true, Length: int64(len(x.request)),
	}
}

// zipped is the same exchange with a compressed answer.
func (x exchange) zipped(t *testing.T) exchange {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(x.answer); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	x.answer, x.header = b.Bytes(), x.header.Clone()
	x.header.Set("Content-Encoding", "gzip")
	return x
}

func whole(p []byte) [][]byte { return [][]byte{p} }

// random cuts into pieces of up to 40 bytes, in the same way each time.
func random(seed uint64) func([]byte) [][]byte {
	source := rand.New(rand.NewPCG(seed, 1))
	return func(p []byte) (pieces [][]byte) {
		for len(p) > 0 {
			n := min(1+source.IntN(40), len(p))
			pieces, p = append(pieces, p[:n:n]), p[n:]
		}
		return pieces
	}
}

// below is the path and query of a recorded URL as a gateway sees it below an endpoint.
func below(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(strings.ReplaceAll(strings.ReplaceAll(raw, "<", "x"), ">", "x"))
	if err != nil {
		t.Fatal(err)
	}
	if u.RawQuery != "" {
		return u.EscapedPath() + "?" + u.RawQuery
	}
	return u.EscapedPath()
}
