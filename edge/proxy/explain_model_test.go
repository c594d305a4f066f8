package proxy

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// explained asks what would become of a request for a model.
func (b *modelBench) explained(method, path, body string) *controlv1.Explanation {
	b.t.Helper()
	hash := contract.KeyHash([]byte(testKey))
	return b.gateway.Explain(b.t.Context(), &eventv1.ExplainCall{Method: method, Path: path, KeySha256: hash[:], Body: []byte(body)})
}

const explainedMessages = `{"model":"best","max_tokens":50,"top_k":3,"messages":[{"role":"user","content":"hi"}]}`

// Guarantee: of a request for a model it is told which deployment would get it, in which translation and without which fields, what
// reads and holds it, and why other deployments are not asked; nothing of it is sent or kept, and no credential is shown.
func TestExplainModels(t *testing.T) {
	t.Parallel()
	m := modelOfTest("gpt", deployment(t, "responses", "r", schemaResponses), deployment(t, "chat", "gpt-9", schemaChat))
	m.Aliases = []string{"best"}
	b := newModels(t, nil, []*eventv1.RouteModel{m})
	got := b.explained("POST", "/x/v1/messages", explainedMessages)
	step := func(stage string) string {
		for _, s := range got.GetSteps() {
			if s.GetStage() == stage && s.GetPassed() {
				return s.GetText()
			}
		}
		return ""
	}
	if !got.GetAdmitted() || got.GetDeployment() != "gpt/chat" || got.GetTranslation() != "anthropic-messages to openai-chat" || !slices.Equal(got.GetDropped(), []string{"top_k"}) {
		t.Errorf("%s", prototext.Format(got))
	}
	if got.GetMeter() != "chat" || got.GetHold() == nil || got.GetHoldReason() == "" || got.GetUrl() != "POST https://chat.example/base/chat/completions" || got.GetPrice() != "by what is counted in requests and answers" {
		t.Errorf("%s", prototext.Format(got))
	}
	if text := step("model"); !strings.HasPrefix(text, `model gpt, which "best" stands for, is served by gpt/chat; gpt/responses can't: `) {
		t.Errorf("model: %q", text)
	}
	if text := step("target"); text != "it would be sent to gpt/chat, translated from anthropic-messages to openai-chat" {
		t.Errorf("target: %q", text)
	}
	key := slices.IndexFunc(got.GetHeaders(), func(h *controlv1.ExplainedHeader) bool { return h.GetName() == "X-Vendor-Key" })
	if key < 0 || got.GetHeaders()[key].GetOrigin() != "deployment" {
		t.Errorf("headers: %s", prototext.Format(got))
	}
	if len(got.GetTargets()) != 2 || !slices.Contains(got.GetTargets()[1].GetNotes(), "deployment gpt/chat") || !strings.HasPrefix(got.GetTargets()[0].GetNotes()[1], "not asked: ") {
		t.Errorf("targets: %v", got.GetTargets())
	}
	if got = b.explained("POST", "/x/v1/chat/completions", `{"model":"gpt","messages":[]}`); got.GetTranslation() != "" || got.GetDeployment() != "gpt/chat" {
		t.Errorf("of the same schema: %s", prototext.Format(got))
	}
	if got = b.explained("GET", "/x/v1/models", ""); !got.GetAdmitted() || got.GetSteps()[len(got.GetSteps())-1].GetStage() != "model" || got.GetHold() != nil {
		t.Errorf("a list: %s", prototext.Format(got))
	}
	if len(b.sent) != 0 || len(b.spool.order) != 0 || b.money.spent != 0 || b.money.open != 0 || b.gateway.room.used.Load() != 0 {
		t.Errorf("%d sent, %d intents, %s spent, %d holds, %d bytes kept", len(b.sent), len(b.spool.order), b.money.spent, b.money.open, b.gateway.room.used.Load())
	}
}

// Guarantee: what a caller would be refused is told in the words of the catalogue, with the status that the caller's schema has for it.
func TestExplainRefusedModels(t *testing.T) {
	t.Parallel()
	b := newModels(t, nil, []*eventv1.RouteModel{modelOfTest("gpt", deployment(t, "chat", "gpt-9", schemaChat))})
	for _, tc := range []struct {
		path, body, code string
		status           int32
	}{
		{"/x/messages", `{"model":"gpt","max_tokens":5,"mcp_servers":[{}],"messages":[{"role":"user","content":"hi"}]}`, "request_unsupported", 400},
		{"/x/messages", `{"model":"nothing","max_tokens":5,"messages":[]}`, "model_not_found", 404},
		{"/x/chat/completions", "", "body_invalid", 400},
		{"/x/elsewhere", "{}", "endpoint_not_found", 404},
	} {
		got := b.explained("POST", tc.path, tc.body)
		last := got.GetSteps()[len(got.GetSteps())-1]
		if r := got.GetRefusal(); r.GetCode() != tc.code || r.GetStatus() != tc.status || r.GetHint() == "" || last.GetPassed() || last.GetText() != r.GetMessage() {
			t.Errorf("%s %s: %s", tc.path, tc.body, prototext.Format(got))
		}
	}
}
