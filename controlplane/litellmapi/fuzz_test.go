package litellmapi

import (
	"encoding/json"
	"strings"
	"testing"

	"tollgate/internal/money"
)

// FuzzBody: whatever is sent, reading it never panics, and what is understood of it can be written again.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		"", "{}", "null", "[]", `{"max_budget": 1e-9}`, `{"max_budget": 1e999}`, `{"budget_limits": [{"budget_duration": "1d", "max_budget": 5}]}`,
		`{"members_with_roles": [{"role": "admin", "user_id": "x"}]}`, `{"tags": ["a", null]}`, `{"metadata": {"litellm": {}}}`, `{"a": 1} {`, "{\"a\": \"\\u0000\"}",
		strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), `{"key": "sk-0123456789abcdef"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := parseBody(raw)
		if err != nil {
			return
		}
		a := b.allowance()
		b.secret("key")
		b.members("members_with_roles")
		b.teamsOf()
		for name := range b.fields {
			b.text(name)
			b.texts(name)
			b.flag(name)
			b.count(name)
			b.object(name)
		}
		n := notes{own: map[string]any{}, kept: map[string]any{}}
		n.read(b)
		a.keep(n.kept)
		if _, err := n.proto(); err != nil && faultOf(err).Message == "" {
			t.Error(err)
		}
		b.rest("agent_id")
		if _, err := json.Marshal(b.fields); err != nil {
			t.Error(err)
		}
	})
}

// FuzzDollars: an amount is read exactly or not at all, and what is shown of it is read as the same.
func FuzzDollars(f *testing.F) {
	for _, s := range []string{"0", "10.5", "1e-9", "1E3", "-1", "0.0000000001", "9223372036.854775807", "9223372036.854775808", "1e999", "01", "1.", ".5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := dollars(text)
		if err != nil {
			return
		}
		again, err := dollars(amountOf(n).String())
		if err != nil || again != n || !json.Valid([]byte(amountOf(n))) {
			t.Errorf("%q is %d, shown as %s, read as %d, %v", text, n, amountOf(n), again, err)
		}
		if plain, err := money.Parse(text); err == nil && plain != n {
			t.Errorf("%q is %d and not %d", text, n, plain)
		}
	})
}
