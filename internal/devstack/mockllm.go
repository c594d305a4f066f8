package devstack

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter/document"
)

// llmPrice is what the demo's chat costs: by the tokens that the answers tell. Whoever streams and does not ask for them gets the
// stream as it would be without the question.
const llmPrice = `
unmatched: refuse
fallback: "0.01"
meters:
  - name: chat
    match: {methods: [POST], path: '^/v1/chat/completions$'}
    model: [{frame: model}, {request: model}]
    counters:
      - {name: prompt, sources: [{frame: usage.prompt_tokens}]}
      - {name: completion, sources: [{frame: usage.completion_tokens}]}
    units:
      - {name: input, add: [prompt]}
      - {name: output, add: [completion]}
    prices:
      - {model: demo-chat, rates: [{unit: input, price: "2.50", per: 1000000}, {unit: output, price: "10", per: 1000000}]}
    hold:
      bounds:
        - {unit: input, sources: [{measure: request_bytes}]}
        - {unit: output, sources: [{request: max_completion_tokens}], assume: "4096", enforce: max_completion_tokens}
      least: "0.0001"
    inject:
      - {when: {source: {request: stream}, in: ["true"]}, field: stream_options.include_usage, value: "true", strip: usage_only}
`

func demoMeters() (*controlv1.Price, error) {
	m := &controlv1.Metered{}
	if err := document.Parse([]byte(llmPrice), m); err != nil {
		return nil, err
	}
	return &controlv1.Price{Kind: &controlv1.Price_Metered{Metered: m}}, nil
}

// chatRequest is what the mock vendor reads of a request in the form of OpenAI's chat.
type chatRequest struct {
	Model         string `json:"model"`
	Stream        bool   `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Messages []struct {
		Content string `json:"content"`
	} `json:"messages"`
}

// serveChat says back what it was told, a word for a token.
func serveChat(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	refuse := func(status int, text string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"message": text}})
	}
	if r.Header.Get("Authorization") != "Bearer "+mockToken {
		refuse(http.StatusUnauthorized, "wrong or missing API key")
		return
	}
	var in chatRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in); err != nil || len(in.Messages) == 0 {
		refuse(http.StatusBadRequest, "messages is required")
		return
	}
	prompt := 0
	for _, m := range in.Messages {
		prompt += len(strings.Fields(m.Content))
	}
	said := append([]string{"You", "said:"}, strings.Fields(in.Messages[len(in.Messages)-1].Content)...)
	usage := map[string]int{"prompt_tokens": prompt, "completion_tokens": len(said), "total_tokens": prompt + len(said)}
	if !in.Stream {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"id": "chatcmpl-demo", "object": "chat.completion", "created": time.Now().Unix(), "model": in.Model, "usage": usage,
			"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]string{"role": "assistant", "content": strings.Join(said, " ")}}},
		})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	created := time.Now().Unix()
	send := func(choices []any, more map[string]any) {
		event := map[string]any{"id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": created, "model": in.Model, "choices": choices}
		maps.Copy(event, more)
		text, _ := json.Marshal(event) // of these values it cannot fail
		_, _ = fmt.Fprintf(w, "data: %s\n\n", text)
		_ = http.NewResponseController(w).Flush()
	}
	for i, word := range said {
		if i > 0 {
			word = " " + word
		}
		send([]any{map[string]any{"index": 0, "delta": map[string]string{"content": word}}}, nil)
	}
	send([]any{map[string]any{"index": 0, "delta": map[string]string{}, "finish_reason": "stop"}}, nil)
	if in.StreamOptions.IncludeUsage {
		send([]any{}, map[string]any{"usage": usage})
	}
	_, _ = fmt.Fprint(w, "data: [DONE]\n\n")
}
