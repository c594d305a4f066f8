package messages_test

import (
	"strings"
	"testing"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: callers see what the model thought, wherever the vendor says it, unless they asked not to or the operator forbids it.
func TestThoughtsAreShown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fields  string
		options *controlv1.VendorOptions
		shown   bool
	}{
		"nothing said": {``, nil, true},
		"adaptive":     {`"thinking":{"type":"adaptive"}`, nil, true},
		"disabled":     {`"thinking":{"type":"disabled"}`, nil, false},
		"omitted":      {`"thinking":{"type":"adaptive","display":"omitted"}`, nil, false},
		"off":          {`"thinking":{"type":"adaptive"}`, &controlv1.VendorOptions{Thinking: controlv1.Thinking_THINKING_OFF}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr, _ := translate(t, request(c.fields), callWith(c.options))
			for _, thought := range []string{
				`"content":"x","reasoning":"Hm"`, `"content":"x","reasoning_content":"Hm","reasoning":"Hm"`,
				`"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]},{"type":"text","text":"x"}]`,
			} {
				want := `[{"type":"text","text":"x"}]`
				if c.shown {
					want = `[{"type":"thinking","thinking":"Hm","signature":""},{"type":"text","text":"x"}]`
				}
				whole := answered(t, tr, `{"choices":[{"message":{`+thought+`},"finish_reason":"stop"}]}`)
				if !strings.Contains(string(whole), `"content":`+want) {
					t.Errorf("%s became %s", thought, whole)
				}
				content := contentOf(t, fold(t, stream(t, tr, chunk(thought)+finish("stop")+done)))
				same(t, content, want)
			}
		})
	}
}
