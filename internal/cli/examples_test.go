package cli_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"tollgate/internal/cli"
)

// agreeable answers every call whose message the schema allows, with something of each kind that the answer has.
func agreeable(w http.ResponseWriter, r *http.Request) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	method, ok := found.(protoreflect.MethodDescriptor)
	if err != nil || !ok {
		_, _ = w.Write([]byte("{}")) // it is the gateway
		return
	}
	body, err := io.ReadAll(r.Body)
	if method.IsStreamingServer() {
		w.Header().Set("Content-Type", "application/connect+proto")
		if text, ok := samples[string(method.Name())]; ok {
			out := dynamicpb.NewMessage(method.Output())
			if err := protojson.Unmarshal([]byte(text), out); err != nil {
				http.Error(w, err.Error(), http.StatusTeapot)
				return
			}
			raw, _ := proto.Marshal(out) // it was read just before
			_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(raw))), raw...))
		}
		_, _ = w.Write(append([]byte{2, 0, 0, 0, 2}, "{}"...)) // the end of a stream that had nothing
		return
	}
	kind, kindErr := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
	if err = errors.Join(err, kindErr); err == nil {
		in := kind.New().Interface()
		if err = proto.Unmarshal(body, in); err == nil {
			err = protovalidate.Validate(in)
		}
	}
	if err != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"code": "invalid_argument", "message": err.Error()})
		return
	}
	out := dynamicpb.NewMessage(method.Output())
	key := string(method.Name())
	if key == "GetTemplate" && !bytes.Contains(body, []byte("openai")) || bytes.Contains(body, []byte("azure")) {
		key += " without secrets"
	}
	if text, ok := samples[key]; !ok {
		fill(out, 3)
	} else if err := protojson.Unmarshal([]byte(text), out); err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	raw, err := proto.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	w.Header().Set("Content-Type", "application/proto")
	_, _ = w.Write(raw)
}

// fill sets the messages and names of a message, some levels deep.
func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.Message() != nil && f.Message().FullName().Parent() == "tollgate.control.v1" && !f.IsMap() && f.ContainingOneof() == nil && depth > 0:
			one := m.NewField(f)
			if f.IsList() {
				fill(one.List().AppendMutable().Message(), depth-1)
			} else {
				fill(one.Message(), depth-1)
			}
			m.Set(f, one)
		case f.Kind() == protoreflect.StringKind && !f.IsList() && !f.IsMap() && (f.Name() == "name" || f.Name() == "id" || f.Name() == "secret" || f.Name() == "url"):
			m.Set(f, protoreflect.ValueOfString("http://sample"))
		}
	}
}

const sampleDeployment = `{"name": "azure", "target": {"url": "https://api.openai.com/v1"}, "model": "gpt-4o", "schemas": ["SCHEMA_OPENAI_CHAT"], "price": {"free": {}}}`

// samples are answers of methods whose objects are read, changed and written back.
var samples = map[string]string{
	"GetEndpoint": `{"endpoint": {"id": "ep_1", "name": "bria", "path": "/bria", "match": "MATCH_KIND_PREFIX", "targets": [{"url": "https://t.example"}],
		"headers": [{"name": "accept", "mode": "MODE_REMOVE"}], "price": {"free": {}}}}`,
	"GetModel":         `{"model": {"id": "mod_1", "name": "gpt-4o", "deployments": [` + sampleDeployment + `, ` + strings.Replace(sampleDeployment, "azure", "openai", 1) + `]}}`,
	"GetAdapter":       `{"adapter": {"id": "ada_1", "name": "ours", "target": {"url": "http://adapter:8080"}, "headers": [{"name": "authorization", "value": "Bearer x"}]}}`,
	"GetAlertChannel":  `{"channel": {"id": "chn_1", "name": "ops", "kind": "ALERT_CHANNEL_KIND_WEBHOOK", "events": ["ATTENTION_KIND_EDGE_SILENT"]}}`,
	"TestAlertChannel": `{"delivered": true, "status": 200}`,
	"GetSettings":      `{"settings": {"name": "home", "customers": {}, "newKeys": {}}}`,
	"GetTemplate": `{"template": {"name": "openai", "secrets": [{"name": "openai", "summary": "API key", "env": "OPENAI_API_KEY"}],
		"parameters": [{"name": "resource", "default": "eu"}], "deployment": ` + sampleDeployment + `,
		"endpoint": {"name": "openai", "path": "/openai", "targets": [{"url": "https://api.openai.com"}], "price": {"free": {}}}}}`,
	"GetTemplate without secrets": `{"template": {"name": "groq", "parameters": [{"name": "resource", "default": "eu"}], "deployment": ` + sampleDeployment + `}}`,
	"QueryUsage":                  `{"rows": [{"hour": "2026-11-01T07", "endpointName": "rerank", "requests": "3", "cost": {"currencyCode": "USD", "units": "2", "nanos": 500000000}}], "total": {"requests": "3"}}`,
	"ListSecrets":                 `{"secrets": [{"id": "sec_1", "name": "bria"}]}`,
	"ProbeTarget":                 `{"results": [{"node": "fra-1", "reached": true, "status": 200}]}`,
	"GetRollout":                  `{"revision": "185", "live": 1, "total": 1, "nodes": [{"node": "fra-1", "live": true}]}`,
	"ResetBreaker":                `{"results": [{"node": "fra-1", "changed": 1}]}`,
	"PreviewEndpoint":             `{"routes": [{"path": "/bria", "url": "https://t.example"}]}`,
	"StartDeviceSignIn":           `{"deviceCode": "x", "userCode": "WDJB-MJHT", "url": "https://t.example"}`,
	"PollDeviceSignIn":            `{"secret": "tgs_x"}`,
	"ListModelPrices":             `{"rows": [{"list": "openai", "price": {"model": "gpt-4o"}}]}`,
	"PreviewPriceBook":            `{}`,
	"GetInfo":                     `{"version": "test", "nats": true, "ledger": true}`,
	"ListNodes":                   `{"revision": "185", "nodes": [{"id": "fra-1", "status": "NODE_STATUS_LIVE", "revision": "185", "requestRate": 3}]}`,
	"WatchFleet":                  `{"revision": "185", "nodes": [{"id": "fra-1", "status": "NODE_STATUS_LIVE", "revision": "185", "requestRate": 3}]}`,
	"Invoke":                      `{"explanation": {"edge": "fra-1", "admitted": true, "url": "POST https://t.example"}}`,
}

const vendorPrices = `{"gpt-4o": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.0000025, "output_cost_per_token": 0.00001}}`

// files are those that examples name.
var files = map[string]string{
	"token.txt":                            "s3cret\n",
	"url.txt":                              "https://alerts.example.com/hook\n",
	"master.key":                           "sk-master\n",
	"config.yaml":                          "general_settings: {}\n",
	"model.yaml":                           "name: gpt-4o\ndeployments:\n  - name: openai\n    target:\n      url: https://api.openai.com/v1\n    model: gpt-4o\n    schemas: [SCHEMA_OPENAI_CHAT]\n    price:\n      free: {}\n",
	"response.json":                        `{"usage": {"total_tokens": 7}}`,
	"body.json":                            `{"prompt": "a book"}`,
	"request.json":                         `{"model": "gpt-4o"}`,
	"stream.sse":                           "data: {}\n\n",
	"draft.yaml":                           "free: {}\n",
	"november.csv":                         "usage_date,sku,cost_usd\n2026-11-01,rerank-1,2.50\n",
	"model_prices_and_context_window.json": vendorPrices,
}

// exitsOf are examples that end otherwise than well on this server, which is what they are for.
var exitsOf = map[string]int{
	"tollgate prices diff": cli.ExitDifferent,
	"tollgate prices diff --from model_prices_and_context_window.json": cli.ExitDifferent,
}

// Guarantee: every command has an example, and every example is a command line that works: its flags exist, what it
// asks of the control plane is what the schema allows, and it ends with 0.
func TestExamples(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(agreeable))
	t.Cleanup(server.Close)
	lines := 0
	walk(newRoot(t, server.URL, t.TempDir(), io.Discard, io.Discard, nil).Command, func(c *cobra.Command) {
		if c.HasSubCommands() || c.Name() == "help" || c.Name() == "dev" || strings.HasPrefix(c.CommandPath(), "tollgate completion") {
			return
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.SplitSeq(strings.ReplaceAll(c.Example, "\\\n", " "), "\n") {
			for part := range strings.SplitSeq(line, " && ") {
				if part = strings.TrimSpace(part); part == "" {
					continue
				}
				lines++
				t.Run(strings.ReplaceAll(part, "/", "|"), func(t *testing.T) {
					t.Parallel()
					runExample(t, server.URL, part)
				})
			}
		}
	})
	if lines < 100 {
		t.Errorf("only %d examples were found", lines)
	}
}

func walk(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		walk(sub, f)
	}
}

func newRoot(t *testing.T, server, dir string, out, errs io.Writer, input []byte) *cli.Root {
	t.Helper()
	settings := map[string]string{
		"TOLLGATE_SERVER": server, "TOLLGATE_TOKEN": "tga_x", "TOLLGATE_GATEWAY": server, "TOLLGATE_KEY": "tgk_good",
		"OPENAI_API_KEY": "sk-x", "TOLLGATE_CONFIG": filepath.Join(dir, "contexts.yaml"),
	}
	root := cli.New(cli.Options{
		Stdin: bytes.NewReader(input), Stdout: out, Stderr: errs, Getenv: func(name string) string { return settings[name] }, Dir: dir,
		Now: func() time.Time { return clock }, Pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	cli.ImportCommand(convert)(root)
	return root
}

func runExample(t *testing.T, server, line string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if strings.Contains(line, "--file "+name) {
			continue // the command makes it
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	contexts := fmt.Sprintf("current: home\nprevious: office\ncontexts:\n  home: {server: %q, token: x}\n  office: {server: %q}\n", server, server)
	if err := os.WriteFile(filepath.Join(dir, "contexts.yaml"), []byte(contexts), 0o600); err != nil {
		t.Fatal(err)
	}
	args, input := shell(t, line)
	var in []byte
	if input == "" {
		in = []byte(files["response.json"]) // what comes through a pipe
	} else {
		in = []byte(files[input])
	}
	var out, errs bytes.Buffer
	if got, want := newRoot(t, server, dir, &out, &errs, in).Run(t.Context(), args), exitsOf[line]; got != want {
		t.Errorf("exit code %d, want %d: %s%s", got, want, out.String(), errs.String())
	}
}

// shell takes a command line apart as a shell does, as far as examples go: quotes, a variable that keeps the output,
// and files for input and output.
func shell(t *testing.T, line string) (args []string, input string) {
	t.Helper()
	if _, rest, ok := strings.Cut(line, " | "); ok {
		line = rest
	}
	if _, rest, ok := strings.Cut(line, "$("); ok {
		line = strings.TrimSuffix(rest, ")")
	}
	line, _, _ = strings.Cut(line, "   #")
	var words []string
	var word strings.Builder
	var quote rune
	began := false
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, began = r, true
		case quote == 0 && r == ' ':
			if began {
				words = append(words, word.String())
			}
			word.Reset()
			began = false
		default:
			word.WriteRune(r)
			began = true
		}
	}
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "<":
			i++
			input = words[i]
		case ">":
			i++
		default:
			args = append(args, words[i])
		}
	}
	if len(args) == 0 || args[0] != "tollgate" {
		t.Fatalf("%q is no command line of tollgate", line)
	}
	return args[1:], input
}
