package e2e_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
	"tollgate/internal/testenv"
	"tollgate/internal/testenv/vectors"
	"tollgate/internal/testenv/vendor"
)

// credential is what the secrets of templates have in these tests.
const credential = "the-vendors-own-credential-of-the-template"

// fromTemplate makes an endpoint of a template whose target is this vendor. Its path is its name.
func (c *cluster) fromTemplate(template, name string, v *vendor.Vendor, flags ...string) string {
	c.t.Helper()
	return c.does(append([]string{"endpoint", "create", name, "--template", template, "--path", "/" + name, "--target", v.URL}, flags...)...)
}

// post sends a body to an edge and gives the whole answer.
func (c *cluster) post(edge int, key, path, body string) (*http.Response, string) {
	c.t.Helper()
	return c.do(edge, http.MethodPost, key, path, body)
}

// do is post with any method.
func (c *cluster) do(edge int, method, key, path, body string) (*http.Response, string) {
	c.t.Helper()
	resp := c.open(edge, method, key, path, body)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("after %q: %v", text, err)
	}
	return resp, string(text)
}

// open sends a request and gives its answer when that has begun.
func (c *cluster) open(edge int, method, key, path, body string) *http.Response {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.edgeAddrs[edge]+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := plain.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// records are those of an endpoint, oldest first, once there are so many.
func (c *cluster) records(endpoint string, n int) []*controlv1.RequestRecord {
	c.t.Helper()
	var all []*controlv1.RequestRecord
	testenv.Eventually(c.t, eventually, func() error {
		resp, err := c.rpc.usage.ListRequests(c.t.Context(), &controlv1.ListRequestsRequest{
			Filter: &controlv1.RequestFilter{Endpoint: endpoint}, PageSize: 500,
		})
		if err != nil {
			return err
		}
		all = resp.GetRequests()
		if len(all) > n {
			c.t.Fatalf("%s has %d records, not %d: %v", endpoint, len(all), n, all)
		}
		if len(all) < n {
			return fmt.Errorf("%s has %d records of %d", endpoint, len(all), n)
		}
		return nil
	})
	slices.Reverse(all)
	return all
}

// usageOf is the sum of an endpoint, once it is so much.
func (c *cluster) usageOf(endpoint string, want money.Nanos) *controlv1.UsageRow {
	c.t.Helper()
	var row *controlv1.UsageRow
	testenv.Eventually(c.t, eventually, func() error {
		resp, err := c.rpc.usage.QueryUsage(c.t.Context(), &controlv1.QueryUsageRequest{Endpoint: endpoint})
		if err != nil {
			return err
		}
		row = resp.GetTotal()
		if got := c.dollars(row.GetCost()); got != want {
			return fmt.Errorf("%s has cost %s, want %s", endpoint, got, want)
		}
		return nil
	})
	return row
}

// listed is what `tollgate requests list -o json` says of a request.
type listed struct {
	Model, Meter, Outcome string
	Counts                map[string]string
	Cost                  struct{ Amount string }
	Unpriced              bool
	Status                int
}

// list is what the command shows of an endpoint.
func (c *cluster) list(endpoint string, flags ...string) (all []listed) {
	c.t.Helper()
	stdout, stderr, code := c.cli(append([]string{"requests", "list", "--endpoint", endpoint, "--since", "1h", "-o", "json"}, flags...)...)
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || code != 0 {
		c.t.Fatalf("requests list exited %d: %v\n%s%s", code, err, stdout, stderr)
	}
	return all
}

// recording is one of the recorded exchanges.
func recording(t *testing.T, name string) vectors.Exchange {
	t.Helper()
	for _, x := range vectors.All(t) {
		if x.Name == name {
			return x
		}
	}
	t.Fatalf("there is no recording %s", name)
	return vectors.Exchange{}
}

// replayed answers as it was recorded, compressed where it was.
func replayed(x *vectors.Exchange) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range x.Headers {
			switch name := strings.ToLower(h.Name); {
			case name == "content-length", name == "transfer-encoding", name == "connection", name == "content-encoding" && len(x.Gzip) == 0:
			default:
				w.Header().Add(h.Name, h.Value)
			}
		}
		w.WriteHeader(x.Status)
		_, _ = w.Write(wire(x))
	}
}

// wire is the body of a recorded answer as it came.
func wire(x *vectors.Exchange) []byte {
	if len(x.Gzip) > 0 {
		return x.Gzip
	}
	return x.Body
}

// A template, a secret and a target are all that it takes: what vendors have answered costs what they bill for it, to the
// nano-dollar, and the record says what was counted. Bria is the one that costs the same each time.
func templatesAreExact(c *cluster) {
	t := c.t
	secret := c.file("secret", []byte(credential+"\n"))
	key := c.key("templates")
	for _, tc := range []struct {
		template, recorded, path, cost string
		header                         string // that has the credential
		answer                         string // of what is not recorded
		want                           listed
		flags                          []string
	}{
		{
			template: "bria", path: "/v1/text-to-image/base/2.3", cost: "12", header: "api_token", flags: []string{"--param", "price_per_image=12.00"},
			answer: `{"result":[{"urls":["https://images.example/1.png"],"seed":1,"uuid":"a"}]}`,
			want:   listed{Meter: "v1", Counts: map[string]string{"images": "1"}},
		},
		{
			template: "cohere", path: "/v2/rerank", cost: "0.002",
			recorded: "cohere/rerank--rerank-reranking-with-cohere-rerank-v3-5-limits-results-with-top-n-b61e99.json",
			want:     listed{Meter: "rerank", Model: "rerank-v3.5", Counts: map[string]string{"searches": "1"}},
		},
		{
			template: "mistral", path: "/v1/ocr", cost: "0.004",
			recorded: "mistral/ocr--ocr-basic-functionality-mistral-mistral-ocr-latest-extracts-markdown-f-ecedf8.json",
			want:     listed{Meter: "ocr", Model: "mistral-ocr-latest", Counts: map[string]string{"pages": "1"}},
		},
		{
			template: "anthropic", path: "/v1/messages", cost: "0.0018423", header: "x-api-key",
			recorded: "anthropic/stream-cache-read--anthropic-completion-stream-cache-read-3dd279.json",
			want:     listed{Meter: "messages"},
		},
	} {
		v, name := vendor.New(t), "t-"+tc.template
		c.fromTemplate(tc.template, name, v, append(tc.flags, "--secret", tc.template+"=file:"+secret)...)
		x := vectors.Exchange{Body: []byte(tc.answer), Status: http.StatusOK, Headers: []vectors.Header{{Name: "Content-Type", Value: "application/json"}}}
		if tc.recorded != "" {
			x = recording(t, tc.recorded)
		}
		v.Handle(replayed(&x))
		c.awaitLive()
		resp, body := c.post(1, key, "/"+name+tc.path, string(x.RequestBody))
		if resp.StatusCode != x.Status || body != string(wire(&x)) {
			t.Fatalf("%s: %s %s", name, resp.Status, body)
		}
		got := v.Last(t)
		if sent := got.Get(cmp.Or(tc.header, "Authorization")); !strings.HasSuffix(sent, credential) || !bytes.Equal(got.Body, x.RequestBody) {
			t.Errorf("%s: the vendor got the credential %q, and %d bytes", name, sent, len(got.Body))
		}
		c.records(name, 1)
		c.usageOf(name, nanos(t, tc.cost))
		for _, l := range c.list(name) {
			if amount := nanos(t, l.Cost.Amount); amount != nanos(t, tc.cost) || l.Unpriced || l.Outcome != "ok" || l.Meter != tc.want.Meter ||
				tc.want.Model != "" && l.Model != tc.want.Model {
				t.Errorf("%s: it is listed as %+v", name, l)
			}
			for counter, n := range tc.want.Counts {
				if l.Counts[counter] != n {
					t.Errorf("%s: %s is %q of %v, want %s", name, counter, l.Counts[counter], l.Counts, n)
				}
			}
		}
	}
}

// chatStream is a recorded stream with usage at its end, and the same without.
func chatStream(t *testing.T) (with, without string) {
	t.Helper()
	x := recording(t, "openai/stream-cached-tokens--chat-completion-stream-prompt-caching-cache-read-a2879e.sse")
	for event := range strings.SplitAfterSeq(string(x.Body), "\n\n") {
		if with += event; !strings.Contains(event, `"choices":[]`) {
			without += event
		}
	}
	if with == without {
		t.Fatal("the recording has no usage")
	}
	return with, without
}

const (
	asksForStream = `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	asksForUsage  = `{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[]}`
)

// strict tells usage to those who ask for it, as OpenAI does.
func strict(with, without string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			StreamOptions struct {
				IncludeUsage bool `json:"include_usage"`
			} `json:"stream_options"`
		}
		answer := without
		if err := json.NewDecoder(r.Body).Decode(&asked); err == nil && asked.StreamOptions.IncludeUsage {
			answer = with
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = io.WriteString(w, answer)
	}
}

// old does not know the field, and says so.
func old(without string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "stream_options") {
			vendor.JSON(http.StatusBadRequest, `{"error":{"message":"Unrecognized request argument supplied: stream_options","type":"invalid_request_error","param":null,"code":null}}`)(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, without)
	}
}

// A stream is paid for exactly whether or not its caller asked for usage, and a caller who did not sees the bytes that
// there would have been. A vendor that does not know the field is asked again without it: then the cost is not known.
func usageIsAskedFor(c *cluster) {
	t := c.t
	v := vendor.New(t)
	c.fromTemplate("openai", "asks", v)
	key := c.key("asker")
	c.awaitLive()
	with, without := chatStream(t)
	v.Handle(strict(with, without))
	for i, tc := range []struct{ body, want string }{{asksForStream, without}, {asksForUsage, with}} {
		if resp, got := c.post(i, key, "/asks/v1/chat/completions", tc.body); got != tc.want {
			t.Errorf("%s: %s: the caller got %d bytes, not these %d:\n%s", tc.body, resp.Status, len(got), len(tc.want), got[:min(len(got), 2000)])
		}
	}
	for _, r := range c.records("asks", 2) {
		if cost := c.dollars(r.GetCost()); cost != nanos(t, "0.00295") || r.GetUnpriced() || r.GetModel() != "gpt-4o-2024-08-06" || r.GetCounts()["cached"] != "1280" {
			t.Errorf("recorded %v", r)
		}
	}

	v.Handle(old(without))
	c.fromTemplate("openai", "refuses", v)
	c.awaitLive()
	v.Reset()
	for i, seen := range []int{2, 3} { // one that has refused it is not asked again
		resp, got := c.post(0, key, "/refuses/v1/chat/completions", asksForStream)
		if resp.StatusCode != http.StatusOK || got != without || v.Count() != seen {
			t.Errorf("request %d: %s after %d attempts, %d bytes", i+1, resp.Status, v.Count(), len(got))
		}
	}
	if last := string(v.Last(t).Body); last != asksForStream {
		t.Errorf("the vendor that refuses got %s", last)
	}
	unpriced := 0
	testenv.Eventually(t, eventually, func() error {
		unpriced = 0
		for _, l := range c.list("refuses") {
			switch {
			case l.Unpriced && nanos(t, l.Cost.Amount) == nanos(t, "0.05") && l.Status == http.StatusOK && l.Model == "gpt-4o-2024-08-06":
				unpriced++
			case l.Status == http.StatusBadRequest && nanos(t, l.Cost.Amount) == 0:
			default:
				t.Fatalf("listed %+v", l)
			}
		}
		if unpriced != 2 {
			return errors.New("not both are listed")
		}
		return nil
	})
	if row := c.usageOf("refuses", nanos(t, "0.10")); row.GetUnpriced() != 2 {
		t.Errorf("usage has %v", row)
	}
}
