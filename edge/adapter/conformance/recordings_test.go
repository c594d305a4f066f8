package conformance_test

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/sse"
	"tollgate/edge/adapter/translate"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

// goldens is where another gateway's examples are. Only what goes in is used: what comes out is that gateway's policy.
const goldens = "../../../internal/testenv/vectors/testdata/translation-goldens/agentgateway"

// route is a client's schema and a vendor's.
type route struct{ client, vendor adapter.Schema }

var routes = []route{
	{adapter.Messages, adapter.Chat}, {adapter.Chat, adapter.Messages}, {adapter.Responses, adapter.Chat}, {adapter.Responses, adapter.Messages},
}

// asks are requests that want all that answers may have in them.
var asks = map[adapter.Schema]string{
	adapter.Messages:  `{"model":"mine","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}`,
	adapter.Chat:      `{"model":"mine","messages":[{"role":"user","content":"Hi"}],"stream_options":{"include_usage":true}}`,
	adapter.Responses: `{"model":"mine","input":"Hi"}`,
}

func (r route) translate(body []byte) (adapter.Translation, error) {
	return translate.New(r.client, r.vendor, body, &adapter.Call{
		Asked: "mine", Model: "theirs", Vendor: "mine/acme", ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Unix: 1_790_000_000,
		Options: &controlv1.VendorOptions{Files: true, DefaultMaxTokens: 4096},
	})
}

func (r route) asked(tb testing.TB, streams bool) adapter.Translation {
	tb.Helper()
	body := asks[r.client]
	if streams {
		body = body[:len(body)-1] + `,"stream":true}`
	} else {
		body = strings.Replace(body, `,"stream_options":{"include_usage":true}`, "", 1)
	}
	x, err := r.translate([]byte(body))
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// schemaOf is the schema of a recorded answer; 0 if it is none of a model.
func schemaOf(url string, body []byte) adapter.Schema {
	chat := strings.Contains(url, "/chat/completions")
	doc := gjson.ParseBytes(body)
	switch {
	case doc.Get("object").Str == "chat.completion", chat && bytes.Contains(body, []byte(`"chat.completion.chunk"`)):
		return adapter.Chat
	case doc.Get("type").Str == "message", bytes.HasPrefix(body, []byte("event: message_start")):
		return adapter.Messages
	}
	return 0
}

// recording is an answer of a vendor.
type recording struct {
	name   string
	vendor adapter.Schema
	stream bool
	body   []byte
}

// recordings are the answers of vendors, and those that the goldens start from.
func recordings(tb testing.TB) (all []recording) {
	tb.Helper()
	for _, x := range vectors.All(tb) {
		if x.Status == 200 && !strings.HasPrefix(x.Name, "translation-goldens/") {
			if s := schemaOf(x.URL, x.Body); s != 0 {
				all = append(all, recording{x.Name, s, !gjson.ValidBytes(x.Body), x.Body})
			}
		}
	}
	for dir, s := range map[string]adapter.Schema{"anthropic": adapter.Messages, "completions": adapter.Chat} {
		files, err := fs.Glob(os.DirFS(goldens), "response/"+dir+"/*.json")
		if err != nil || len(files) < 8 {
			tb.Fatalf("%d files, %v", len(files), err)
		}
		for _, f := range files {
			body, err := os.ReadFile(path.Join(goldens, f))
			if err != nil {
				tb.Fatal(err)
			}
			if path.Base(f) != "count_tokens.json" {
				all = append(all, recording{f, s, strings.HasPrefix(path.Base(f), "stream"), body})
			}
		}
	}
	return all
}

// counted is usage in any schema, in one form.
type counted struct{ input, output, read, written, thought int64 }

func usageOf(s adapter.Schema, u gjson.Result) (c counted) {
	first := func(paths ...string) int64 {
		for _, p := range paths {
			if v := u.Get(p); v.Type == gjson.Number {
				return v.Int()
			}
		}
		return 0
	}
	switch s {
	case adapter.Messages:
		c = counted{first("input_tokens"), first("output_tokens"), first("cache_read_input_tokens"), first("cache_creation_input_tokens"), first("output_tokens_details.thinking_tokens")}
		c.input += c.read + c.written
	case adapter.Responses:
		c = counted{
			first("input_tokens"), first("output_tokens"), first("input_tokens_details.cached_tokens"),
			first("input_tokens_details.cache_write_tokens"), first("output_tokens_details.reasoning_tokens"),
		}
	default:
		c = counted{
			first("prompt_tokens"), first("completion_tokens"), first("prompt_tokens_details.cached_tokens", "prompt_cache_hit_tokens"),
			first("prompt_tokens_details.cache_write_tokens"), first("completion_tokens_details.reasoning_tokens"),
		}
		if total := first("total_tokens"); total == c.input+c.output+c.thought && c.thought > 0 { // xAI counts thoughts apart
			c.output += c.thought
		}
	}
	return c
}

// streamed is what a stream says in the end: its usage, all fields merged, and whether it came to its end.
func streamed(s adapter.Schema, stream []byte) (c counted, whole bool) {
	usage := map[string]gjson.Result{}
	last := ""
	merge := func(u gjson.Result) {
		u.ForEach(func(k, v gjson.Result) bool {
			if v.Type != gjson.Null {
				usage[k.Str] = v
			}
			return true
		})
		if u.IsObject() {
			last = u.Raw
		}
	}
	var r sse.Reader
	read := func(e sse.Event) error {
		doc := gjson.ParseBytes(e.Data)
		whole = whole || doc.Get("type").Str == "message_stop" || doc.Get("choices.0.finish_reason").Type == gjson.String
		merge(doc.Get("message.usage"))
		if u := doc.Get("response.usage"); u.Exists() {
			merge(u)
		} else {
			merge(doc.Get("usage"))
		}
		merge(doc.Get("x_groq.usage"))
		return nil
	}
	_ = r.Next(stream, read)
	_ = r.End(read)
	if s != adapter.Messages {
		return usageOf(s, gjson.Parse(last)), whole
	}
	text := "{"
	for k, v := range usage {
		if text != "{" {
			text += ","
		}
		text += `"` + k + `":` + v.Raw
	}
	return usageOf(s, gjson.Parse(text+"}")), whole
}

// Guarantee: whatever a vendor was recorded to answer reaches clients of every other schema as a legal answer of theirs, with exactly
// the tokens that the vendor counted; and what has no end there has none here.
func TestRecordings(t *testing.T) {
	t.Parallel()
	all := recordings(t)
	for _, r := range routes {
		tried := map[bool]int{}
		for _, x := range all {
			if x.vendor != r.vendor {
				continue
			}
			tried[x.stream]++
			t.Run(r.client.String()+"/"+x.name, func(t *testing.T) {
				t.Parallel()
				if x.stream {
					r.stream(t, x)
				} else {
					r.answer(t, x)
				}
			})
		}
		if tried[true] < 20 || tried[false] < 20 {
			t.Errorf("%s at %s: %d streams and %d answers", r.client, r.vendor, tried[true], tried[false])
		}
	}
}

func (r route) answer(t *testing.T, x recording) {
	t.Helper()
	out, err := r.asked(t, false).Answer(t.Context(), x.body)
	if err != nil {
		t.Fatal(err)
	}
	if err := schemas.Check(answerSchemas[r.client], out); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	want, got := usageOf(r.vendor, gjson.GetBytes(x.body, "usage")), usageOf(r.client, gjson.GetBytes(out, "usage"))
	if got != want {
		t.Errorf("usage is %v and was %v", got, want)
	}
}

func (r route) stream(t *testing.T, x recording) {
	t.Helper()
	run := func(pieces [][]byte) (got result) {
		s := r.asked(t, true).Stream(t.Context())
		for _, p := range pieces {
			if got.out, got.err = s.Next(got.out, p); got.err != nil {
				break
			}
		}
		if got.err == nil {
			got.out, got.err = s.End(got.out, true)
		}
		got.fail(t, s)
		return got
	}
	got := run([][]byte{x.body})
	if err := got.legal(r.client, true); err != nil {
		t.Fatal(err)
	}
	want, whole := streamed(r.vendor, x.body)
	if whole != (got.err == nil) {
		t.Errorf("the vendor has ended it: %v, and here: %v", whole, got.err)
	}
	if have, _ := streamed(r.client, got.out); got.err == nil && have != want {
		t.Errorf("usage is %v and was %v", have, want)
	}
	crlf := bytes.ReplaceAll(bytes.ReplaceAll(x.body, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	if !run(bytes.SplitAfter(x.body, nil)).same(got) || !run(bytes.SplitAfter(crlf, nil)).same(got) {
		t.Error("byte by byte it is another one")
	}
}

// Guarantee: the requests of another gateway's examples are legal requests at the other schema's vendor, or are refused by a field's name.
func TestGoldenRequests(t *testing.T) {
	t.Parallel()
	refused := map[string]string{ // and why
		"requests/messages/server_tools.json":           "tools[0]",                             // they run at the vendor
		"requests/messages/reasoning.json":              "output_format",                        // a text, which no schema of Anthropic's has
		"requests/messages/responses_agent_subset.json": "messages[0].content[3].source",        // a file by its id
		"requests/completions/full.json":                "n",                                    // three answers
		"requests/completions/generation-config.json":   "n",                                    // as well
		"requests/completions/image-file.json":          "messages[0].content[1].image_url.url", // gs://
	}
	tried := 0
	for dir, r := range map[string]route{"messages": routes[0], "completions": routes[1]} {
		files, err := fs.Glob(os.DirFS(goldens), "requests/"+dir+"/*.json")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			tried++
			body, err := os.ReadFile(path.Join(goldens, f))
			if err != nil {
				t.Fatal(err)
			}
			x, err := r.translate(body)
			if why := refused[f]; why != "" {
				if err := (&refusal{Param: why, Says: []string{"mine/acme"}}).is(err, adapter.Invalid); err != nil {
					t.Errorf("%s: %v", f, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", f, err)
				continue
			}
			if err := schemas.Check(requestSchemas[r.vendor], x.Body()); err != nil {
				t.Errorf("%s: %v\n%s", f, err, x.Body())
			}
		}
	}
	if tried < 25 {
		t.Errorf("%d requests were tried", tried)
	}
}
