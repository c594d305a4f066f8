package meter_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"io/fs"
	"maps"
	"math/big"
	"math/rand/v2"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter"
	"tollgate/internal/meter/document"
	"tollgate/internal/money"
	"tollgate/internal/testenv/vectors"
)

// documents are those of testdata that were read before, by their names.
var documents sync.Map

// read is a document of testdata.
func read(tb testing.TB, name string) *controlv1.Metered {
	tb.Helper()
	if m, ok := documents.Load(name); ok {
		return proto.CloneOf(m.(*controlv1.Metered))
	}
	text, err := os.ReadFile("testdata/" + name + ".yaml")
	if err != nil {
		tb.Fatal(err)
	}
	var m controlv1.Metered
	if err := document.Parse(text, &m); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	documents.Store(name, proto.CloneOf(&m))
	return &m
}

// only makes a plan of one meter of a document, that reads every request.
func only(tb testing.TB, name, which string) *meter.Plan {
	tb.Helper()
	m := read(tb, name)
	i := slices.IndexFunc(m.GetMeters(), func(one *controlv1.Meter) bool { return one.GetName() == which })
	if i < 0 {
		tb.Fatalf("%s has no meter %s", name, which)
	}
	m.Meters = m.Meters[i : i+1]
	m.Meters[0].Match = nil
	return compile(tb, m)
}

func compile(tb testing.TB, m *controlv1.Metered) *meter.Plan {
	tb.Helper()
	plan, err := meter.Compile(m, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return plan
}

// answer is what a target answers.
type answer struct {
	status  int
	headers map[string]string
	body    []byte
	piece   int   // of the body that comes at once; if 0, some, the same in each run
	broken  bool  // it broke off
	held    int64 // nano-dollars
}

func (a *answer) header(name string) string {
	for k, v := range a.headers {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// play sends a request and an answer through a meter.
func play(tb testing.TB, plan *meter.Plan, r *meter.Request, a *answer) *meter.Bill {
	tb.Helper()
	m := plan.Match(r)
	if m == nil {
		tb.Fatalf("no meter reads %s %s", r.Method, r.Path)
	}
	x := m.Start(r, nil)
	x.Sent(r.Body)
	x.Answered(cmp.Or(a.status, 200), a.header)
	var before money.Nanos
	some := rand.New(rand.NewPCG(uint64(len(a.body)), 0))
	for rest := a.body; len(rest) > 0; {
		n := a.piece
		if n == 0 {
			n = 1 + some.IntN(min(len(rest), 1000))
		}
		n = min(n, len(rest))
		x.Received(rest[:n])
		if b := x.Boundary(); b < 0 || b > n {
			tb.Fatalf("boundary %d of %d", b, n)
		}
		if before, _ = x.Cost(); before < 0 {
			tb.Fatal("a cost below 0")
		}
		rest = rest[n:]
	}
	return x.End(meter.End{Whole: !a.broken, Held: money.Nanos(a.held)})
}

// exchange makes a request and an answer of a recording.
func exchange(x *vectors.Exchange, kind string) (*meter.Request, *answer) {
	r := &meter.Request{Method: x.Method, Body: x.RequestBody, Whole: true, Length: int64(len(x.RequestBody))}
	if u, err := url.Parse(x.URL); err == nil {
		r.Path, r.Query = u.EscapedPath(), u.RawQuery
	}
	r.Header = headers(x.RequestHeaders)
	if kind := r.Header("Content-Type"); strings.HasPrefix(kind, "text/event-stream") || strings.HasPrefix(kind, "application/x-ndjson") ||
		bytes.Equal(r.Body, []byte("[multipart form data omitted]")) {
		r.Body, r.Length = nil, 0 // it has not recorded the request's
	}
	a := &answer{status: x.Status, headers: map[string]string{}, body: x.Body}
	for _, h := range x.Headers {
		if !strings.EqualFold(h.Name, "content-encoding") {
			a.headers[h.Name] = h.Value
		}
	}
	if is := map[string]string{
		"sse": "text/event-stream", "sse-data-lines": "application/x-ndjson", "aws-eventstream": "application/vnd.amazon.eventstream",
	}[kind]; is != "" {
		for name := range a.headers {
			if strings.EqualFold(name, "content-type") {
				delete(a.headers, name)
			}
		}
		a.headers["Content-Type"] = is
	}
	return r, a
}

func headers(list []vectors.Header) func(string) string {
	return func(name string) string {
		for _, h := range list {
			if strings.EqualFold(h.Name, name) {
				return h.Value
			}
		}
		return ""
	}
}

// fact is a line of the manifest: what somebody else has found in a recording.
type fact struct {
	File, Kind         string
	Usage, First, Last []json.RawMessage
}

func facts(tb testing.TB) map[string]fact {
	tb.Helper()
	text, err := fs.ReadFile(os.DirFS("../testenv/vectors/testdata"), "manifest.ndjson")
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]fact{}
	for line := range bytes.Lines(text) {
		var f struct {
			File  string            `json:"file"`
			Kind  string            `json:"kind"`
			Usage []json.RawMessage `json:"usage"`
			First []json.RawMessage `json:"first_usage"`
			Last  []json.RawMessage `json:"last_usage"`
		}
		if err := json.Unmarshal(line, &f); err != nil {
			tb.Fatal(err)
		}
		all[f.File] = fact{f.File, f.Kind, f.Usage, f.First, f.Last}
	}
	return all
}

// leaves are the numbers of a usage object by their paths in a frame.
func leaves(tb testing.TB, usage []json.RawMessage) map[string]string {
	tb.Helper()
	out := map[string]string{}
	if len(usage) < 2 {
		return out
	}
	var at string
	if err := json.Unmarshal(usage[len(usage)-2], &at); err != nil {
		tb.Fatal(err)
	}
	at = strings.TrimPrefix(regexp.MustCompile(`^\[\d+\]`).ReplaceAllString(at, ""), ".")
	decoder := json.NewDecoder(bytes.NewReader(usage[len(usage)-1]))
	decoder.UseNumber()
	var object any
	if err := decoder.Decode(&object); err != nil {
		tb.Fatal(err)
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, item := range v {
				walk(path+"."+k, item)
			}
		case json.Number:
			out[path] = v.String()
		}
	}
	walk(at, object)
	return out
}

// uncounted are facts that are no part of any price: totals of what is counted, times, and parts of what is billed as a
// whole.
var uncounted = regexp.MustCompile(`(total_tokens|total_?[tT]okens|totalTokenCount|_time|_ms|Latency|latencyMs|seed|request_count` +
	`|(accepted|rejected)_prediction_tokens|\.tokens\.(in|out)put_tokens|cached_tokens|video_tokens|num_\w+|context_details\.\w+|latency_checkpoint.*` +
	`|prompt_cache_miss_tokens|upstream_inference\w*|input_cost|text_tokens|image_tokens|audio_tokens|cache_write_tokens|TokenCount|trafficType|ephemeral_5m_input_tokens)$`)

// meterOf names the meter that reads a recording.
func meterOf(f fact, at string) (document, which string) {
	vendor := f.File[:strings.IndexByte(f.File, '/')]
	base := path.Base(f.File)
	switch {
	case strings.Contains(at, "usageMetadata"):
		return "gemini", "generate"
	case strings.Contains(at, "billed_units.search_units"):
		return "others", "rerank"
	case strings.Contains(at, "billed_units"):
		return "others", "cohere"
	case strings.Contains(at, "usage_info"):
		return "others", "ocr"
	case strings.Contains(at, "metrics.predict_time"):
		return "others", "predictions"
	case vendor == "voyage" || strings.HasPrefix(base, "rerank"):
		return "others", "tokens"
	case vendor == "xai" || vendor == "openrouter" || vendor == "perplexity":
		return "others", "reported"
	case strings.Contains(at, "inputToken"):
		return "bedrock", "converse"
	case strings.Contains(at, "message.usage"):
		return "anthropic", "messages"
	case strings.Contains(at, "prompt_tokens"), strings.Contains(at, "x_groq"):
		return "openai", "chat"
	case vendor == "openai" && strings.Contains(base, "images") || strings.Contains(base, "image-generation"):
		return "openai", "images"
	case vendor == "openai" && strings.Contains(at, "usage.seconds"), strings.Contains(at, "input_token_details"):
		return "openai", "transcriptions"
	case strings.Contains(at, "response.usage"), vendor == "openai", vendor == "azure-openai":
		return "openai", "responses"
	default:
		return "anthropic", "messages"
	}
}

// paths are the frame sources of a meter's counters: by their path the counter's name.
func paths(m *controlv1.Meter) map[string]string {
	out := map[string]string{}
	for _, c := range m.GetCounters() {
		for _, s := range c.GetSources() {
			if s.GetFrame() != "" {
				out[s.GetFrame()] = c.GetName()
			}
		}
	}
	return out
}

// Guarantee: in every recording that has usage the counters are what is known of it: in pieces of any size, compressed, and
// with fields that nobody knows.
func TestCountersOfEveryRecording(t *testing.T) {
	t.Parallel()
	known := facts(t)
	played := 0
	for _, x := range vectors.All(t) {
		for _, file := range x.Files {
			f := known[file]
			want := leaves(t, f.First)
			for _, usage := range [][]json.RawMessage{f.Last, f.Usage} {
				maps.Copy(want, leaves(t, usage))
			}
			all := strings.Join(keys(want), " ")
			if all == "" || file == "usage-extraction/genai-prices-usages.json" || strings.HasSuffix(file, "schema-event-examples.json") ||
				regexp.MustCompile(`^[\w.]*(latencyMs|x_groq.seed)$`).MatchString(all) || strings.Contains(all, "guardrail") {
				continue // collections of usage objects, and recordings that have none
			}
			played++
			t.Run(file, func(t *testing.T) {
				t.Parallel()
				name, which := meterOf(f, all)
				plan := only(t, name, which)
				doc := read(t, name)
				i := slices.IndexFunc(doc.GetMeters(), func(m *controlv1.Meter) bool { return m.GetName() == which })
				compare(t, plan, &x, f, want, paths(doc.GetMeters()[i]))
			})
		}
	}
	if played < 200 {
		t.Errorf("only %d recordings were played", played)
	}
}

func keys(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func compare(t *testing.T, plan *meter.Plan, x *vectors.Exchange, f fact, want, counters map[string]string) {
	t.Helper()
	r, a := exchange(x, f.Kind)
	bill := play(t, plan, r, a)
	found := map[string]string{}
	for pair := range strings.SplitSeq(bill.Counts, ",") {
		name, value, _ := strings.Cut(pair, "=")
		found[name] = value
	}
	later := leaves(t, f.Last)
	compared := 0
	for p, value := range want {
		name := counters[p]
		if name == "" {
			if !uncounted.MatchString(p) {
				t.Errorf("nothing counts %s = %s", p, value)
			}
			continue
		}
		if _, again := later[p]; !again && len(f.Last) > 0 && superseded(name, later, counters) {
			continue // the later usage has it under another path
		}
		compared++
		if plainNumber(value) != found[name] {
			t.Errorf("%s = %q, want %s from %s (all: %s)", name, found[name], value, p, bill.Counts)
		}
	}
	if compared == 0 {
		t.Errorf("nothing was compared of %v", want)
	}
	if len(bill.Unpriced) > 0 {
		t.Errorf("unpriced: %q", bill.Unpriced)
	}
	for name, again := range variants(t, a, f.Kind) {
		r, _ := exchange(x, f.Kind)
		if b := play(t, plan, r, again); b.Counts != bill.Counts || b.Cost != bill.Cost || len(b.Unpriced) > 0 {
			t.Errorf("%s: %s, %d, %q; want %s, %d", name, b.Counts, b.Cost, b.Unpriced, bill.Counts, bill.Cost)
		}
	}
}

func superseded(name string, later, counters map[string]string) bool {
	for p := range later {
		if counters[p] == name {
			return true
		}
	}
	return false
}

func plainNumber(text string) string {
	if !strings.ContainsAny(text, "eE.") {
		return text
	}
	r, _ := new(big.Rat).SetString(text)
	return strings.TrimRight(strings.TrimRight(r.FloatString(20), "0"), ".")
}

// variants are the same answer in other pieces, compressed, and with more fields.
func variants(t *testing.T, a *answer, kind string) map[string]*answer {
	t.Helper()
	bytewise, pieces, zipped, more := *a, *a, *a, *a
	bytewise.piece, pieces.piece = 1, 7
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(a.body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	zipped.body = b.Bytes()
	zipped.headers = map[string]string{"Content-Encoding": "gzip"}
	maps.Copy(zipped.headers, a.headers)
	out := map[string]*answer{"pieces": &pieces, "gzip": &zipped}
	if len(a.body) < 8<<10 {
		out["bytes"] = &bytewise
	}
	const unknown = `{"x_unknown":{"usage":{"prompt_tokens":77},"list":[1,{"input_tokens":88}]},`
	switch body := bytes.TrimLeft(a.body, " \r\n\t"); {
	case kind == "aws-eventstream":
		return out // its checksums would not be right
	case len(body) > 2 && body[0] == '{' && bytes.TrimLeft(body[1:], " \r\n\t")[0] != '}':
		more.body = append([]byte(unknown), body[1:]...)
		if kind == "sse-data-lines" {
			more.body = bytes.ReplaceAll(append([]byte("\n"), body...), []byte("\n{\""), []byte("\n"+unknown+"\""))
		}
	default:
		more.body = bytes.ReplaceAll(a.body, []byte("data: {\""), []byte("data: "+unknown+"\""))
	}
	out["more fields"] = &more
	return out
}

// Guarantee: costs are the numbers that were worked out by hand, to the nano-dollar.
func TestWorkedNumbers(t *testing.T) {
	t.Parallel()
	known := facts(t)
	all := map[string]vectors.Exchange{}
	for _, x := range vectors.All(t) {
		for _, file := range x.Files {
			all[file] = x
		}
	}
	for _, c := range []struct {
		document, meter, file string
		want                  money.Nanos
	}{
		{"openai", "chat", "openai/stream-cached-tokens--chat-completion-stream-prompt-caching-cache-read-a2879e.sse", 2_950_000},
		{"anthropic", "messages", "anthropic/stream-cache-read--anthropic-completion-stream-cache-read-3dd279.sse", 1_842_300},
		{"anthropic", "messages", "anthropic/cache-1h--anthropic-completion-cache-write-1h-ttl-b710aa.json", 13_887_000},
		{"gemini", "generate", "gemini/stream-sse-multi--gemini-2-5-pro-stream-3531ab.sse", 13_480_000},
		{"others", "rerank", "cohere/rerank--rerank-reranking-with-cohere-rerank-v3-5-limits-results-with-top-n-b61e99.json", 2_000_000},
		{"others", "ocr", "mistral/ocr--ocr-basic-functionality-mistral-mistral-ocr-latest-extracts-markdown-f-ecedf8.json", 4_000_000},
		{"bedrock", "invoke", "bedrock/invoke-cache-headers--test-anthropic-cache-bedrock-real-api-5640ab.json", 10_857_300},
		{"bedrock", "invoke", "bedrock/invoke-stream--anthropic-invoke-stream-4700f5.bin", 135_000},
		{"bedrock", "converse", "bedrock/agentgateway-converse-stream-basic.bin", 2_175_000},
		{"openai", "transcriptions", "openai/audio--audio-transcription-basic-935e7e.json", 700_000},
		{"others", "listen", "deepgram/listen--providers-deepgram-audio-transcribes-audio-deepgram-fetches-from-a-url-a06b1c.json", 1_858_554},
		{"others", "predictions", "replicate/succeeded--test-replicate-image-generation-with-events-with-content-e789ba.json", 632_557},
		{"others", "reported", "xai/chat-stream--tool-streaming-c78f1a.sse", 148_700},
		{"others", "reported", "openrouter/chat-stream--chat-streaming-responses-openrouter-claude-haiku-4-5-reports-consisten-4cada9.sse", 60_000},
		{"others", "cohere", "cohere/v2-chat-stream--chat-function-calling-cohere-command-a-03-2025-can-use-tools-without-p-cd32bf.sse", 197_500},
		{"others", "tokens", "voyage/rerank--test-voyageai-rerank-async-legacy-bc0c33.json", 2_150},
	} {
		t.Run(path.Base(c.file), func(t *testing.T) {
			t.Parallel()
			x, ok := all[c.file]
			if !ok {
				t.Fatal("there is no such recording")
			}
			kind := cmp.Or(known[c.file].Kind, "exchange")
			plan := only(t, c.document, c.meter)
			_, a := exchange(&x, kind)
			again := variants(t, a, kind)
			again["as it is"] = a
			for name, one := range again {
				r, _ := exchange(&x, kind)
				if b := play(t, plan, r, one); b.Cost != c.want || len(b.Unpriced) > 0 || !b.Charged {
					t.Errorf("%s: %d, %q, want %d (%s)", name, b.Cost, b.Unpriced, c.want, b.Counts)
				}
			}
		})
	}
}
