package conformance_test

import (
	"encoding/json"
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/messages"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// counting is a case of a request to count tokens.
type counting struct {
	Rows                         []string
	How, Path                    string
	Root                         bool
	Request, Sent, Answer, Gives json.RawMessage
}

// Guarantee: tokens are counted as each vendor counts them; where it does not, that is said and not guessed, unless a guess is asked for.
func TestCounts(t *testing.T) {
	t.Parallel()
	for _, c := range read[[]counting](t, "counts.json")["counts.json"] {
		o := &controlv1.VendorOptions{}
		if err := protojson.Unmarshal([]byte(`{"countTokens":"`+c.How+`"}`), o); err != nil {
			t.Fatal(err)
		}
		got, err := messages.Count(c.Request, &adapter.Call{Asked: "mine", Model: "theirs", Options: o, Vendor: "mine/acme"})
		if c.Sent == nil {
			var e *adapter.Error
			if !errors.As(err, &e) || e.Kind != adapter.NotFound {
				t.Errorf("%s: %v", c.How, err)
			}
			if c.Gives != nil && messages.Estimate(c.Request) <= 0 {
				t.Errorf("%s: nothing is estimated", c.How)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.How, err)
			continue
		}
		if got.Path != c.Path || got.Root != c.Root {
			t.Errorf("%s: it goes to %s, at the root: %v", c.How, got.Path, got.Root)
		}
		same(t, got.Body, c.Sent)
		n, err := messages.Counted(c.Answer)
		if err != nil {
			t.Errorf("%s: %v", c.How, err)
		}
		same(t, messages.Answered(n), c.Gives)
	}
}
