package conformance_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/internal/fault"
	"tollgate/internal/testenv/schemas"
)

// trouble is a case of an error: a vendor's answer, or one of the gateway's own.
type trouble struct {
	Rows       []string
	Status     int
	RetryAfter string
	Body       string
	Fault      fault.Code

	Anthropic, OpenAI string // status, type, and code
	Prefix            string // of the message for Anthropic's clients
	Says, Silent      string
}

// Guarantee: every row of the table of errors holds for clients of all schemas.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range read[[]trouble](t, "errors.json")["errors.json"] {
		e := adapter.Read(c.Status, c.RetryAfter, []byte(c.Body))
		if c.Fault != "" {
			e = adapter.FromFault(fault.New(c.Fault, "What happened."))
		}
		name := fmt.Sprint(c.Status, c.Fault, " ", c.Body)
		if e.RetryAfter != c.RetryAfter {
			t.Errorf("%s: retry after %q", name, e.RetryAfter)
		}
		for _, s := range []adapter.Schema{adapter.Messages, adapter.Chat, adapter.Responses} {
			status, body := adapter.Write(s, e, "req_1")
			of, want := "openai-error", c.OpenAI
			if s == adapter.Messages {
				of, want = "anthropic-error", c.Anthropic
			}
			if err := schemas.Check(of, body); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			doc := gjson.ParseBytes(body)
			if got := strings.TrimSpace(fmt.Sprint(status, " ", doc.Get("error.type").Str, " ", doc.Get("error.code").Str)); got != want {
				t.Errorf("%s: in %s it is %s and not %s", name, s, got, want)
			}
			said := doc.Get("error.message").Str
			if said == "" || !strings.Contains(said, c.Says) || c.Silent != "" && strings.Contains(string(body), c.Silent) {
				t.Errorf("%s: %s", name, body)
			}
			if s == adapter.Messages && (!strings.HasPrefix(said, c.Prefix) || doc.Get("request_id").Str != "req_1") {
				t.Errorf("%s: %s", name, body)
			}
		}
	}
}
