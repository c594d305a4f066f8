package adapter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"tollgate/sdk/adapter"
)

// Polite lets callers say what they want in one field, and has everything else as Chat Completions do.
type Polite struct{ adapter.Same }

// TranslateRequest makes a request of Chat Completions of {"please": "…"}.
func (Polite) TranslateRequest(_ context.Context, _ *adapter.Call, r *adapter.Request) (*adapter.Request, error) {
	var in struct {
		Please string `json:"please"`
	}
	if err := json.Unmarshal(r.Body, &in); err != nil || strings.TrimSpace(in.Please) == "" {
		return nil, adapter.Refuse(http.StatusBadRequest, "please", "It has to say what is wanted.")
	}
	body, err := json.Marshal(map[string]any{
		"model": "any", "messages": []map[string]string{{"role": "user", "content": in.Please}},
	})
	return &adapter.Request{Body: body}, err
}

// An adapter embeds Same and has the methods that it needs. This one would be served by
//
//	adapter.ListenAndServe(ctx, ":7070", Polite{}, adapter.Options{})
func Example() {
	ctx := context.Background()
	for _, body := range []string{`{"please": "sing"}`, `{}`} {
		r, err := Polite{}.TranslateRequest(ctx, &adapter.Call{Role: adapter.Client}, &adapter.Request{Body: []byte(body)})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(string(r.Body))
	}
	// Output:
	// {"messages":[{"content":"sing","role":"user"}],"model":"any"}
	// please: It has to say what is wanted.
}
