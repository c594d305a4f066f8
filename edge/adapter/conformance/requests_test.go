package conformance_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/tidwall/gjson"

	"tollgate/edge/adapter"
	"tollgate/internal/testenv/schemas"
)

// requestSchemas are the names of the schemas that requests are held against.
var requestSchemas = map[adapter.Schema]string{adapter.Chat: "openai-chat-request", adapter.Messages: "anthropic-request"}

// Guarantee: every row of the tables for requests holds: what can be said arrives word for word, what does not matter is left out and
// named, and what cannot be said is refused with its field and the vendor's name.
func TestRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, g *group, c *example) {
		t.Helper()
		x, err := c.translation(t, g)
		if c.Refused != nil {
			if err := c.Refused.is(err, adapter.Invalid); err != nil {
				t.Error(err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := schemas.Check(requestSchemas[g.Vendor.Schema], x.Body()); (err != nil) != c.Beyond {
			t.Errorf("%v\n%s", err, x.Body())
		}
		if got, want := x.Dropped(), c.Dropped; len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%v was left out, and not %v", got, want)
		}
		if c.Sent != nil {
			same(t, blocks(t, g, x.Body()), blocks(t, g, patched(t, plain[g.Vendor.Schema].sent, c.Sent)))
		}
		if asked := gjson.GetBytes(c.Request, "stream").Bool(); x.Streams() != asked {
			t.Errorf("a stream is wanted: %v", x.Streams())
		}
	})
}

// blocks has all content of a request of Messages as lists of blocks: a text is short for a list of one text.
func blocks(tb testing.TB, g *group, body []byte) []byte {
	tb.Helper()
	if g.Vendor.Schema != adapter.Messages {
		return body
	}
	doc := value(tb, body)
	spread(doc.(map[string]any)["messages"].([]any))
	out, err := json.Marshal(doc)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func spread(list []any) {
	for _, v := range list {
		holder := v.(map[string]any)
		switch content := holder["content"].(type) {
		case string:
			holder["content"] = []any{map[string]any{"type": "text", "text": content}}
		case []any:
			spread(content)
		}
	}
}
