package translate

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"tollgate/edge/adapter"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// pairs are the translations, and how a request of each client begins.
var pairs = []struct {
	from, to adapter.Schema
	begin    string
}{
	{adapter.Chat, adapter.Messages, `{"model":"m","messages":[{"role":"user","content":"hi"}]`},
	{adapter.Messages, adapter.Chat, `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]`},
	{adapter.Responses, adapter.Chat, `{"model":"m","input":"hi"`},
	{adapter.Responses, adapter.Messages, `{"model":"m","input":"hi"`},
}

func many(n int, one func(i int) string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(one(i))
	}
	return b.String()
}

func translated(from, to adapter.Schema, body string, extra controlv1.ExtraFields) (adapter.Translation, error) {
	return New(from, to, []byte(body), &adapter.Call{
		Asked: "m", Model: "v", Options: &controlv1.VendorOptions{ExtraFields: extra}, Vendor: "x/y", ID: "abc", Unix: 1,
	})
}

// Guarantee: a request of very many fields, calls or tools takes work in proportion to its length, so that nobody keeps an edge busy
// with one: what grew with the square would not come to its end here.
func TestManyOfEverything(t *testing.T) {
	t.Parallel()
	const n = 100_000
	unknown := "," + many(n, func(i int) string { return fmt.Sprintf(`"a%d":1`, i) }) + "}"
	calls := many(n, func(i int) string {
		return fmt.Sprintf(`{"id":"c%d","type":"function","function":{"name":"f","arguments":"{}"}}`, i)
	})
	results := many(n, func(i int) string { return fmt.Sprintf(`{"role":"tool","tool_call_id":"c%d","content":"x"}`, i) })
	tools := many(n, func(i int) string { return fmt.Sprintf(`{"type":"function","function":{"name":"f%d"}}`, i) })
	for _, w := range pairs {
		for _, extra := range []controlv1.ExtraFields{controlv1.ExtraFields_EXTRA_FIELDS_UNSPECIFIED, controlv1.ExtraFields_EXTRA_FIELDS_PASS} {
			if _, err := translated(w.from, w.to, w.begin+unknown, extra); err != nil {
				t.Errorf("%s: %v", w.from, err)
			}
		}
	}
	for name, body := range map[string]string{
		"calls": `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","tool_calls":[` + calls + `]},` + results + `]}`,
		"tools": pairs[0].begin + `,"tools":[` + tools + `],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[` + tools + `]}}}`,
	} {
		if _, err := translated(adapter.Chat, adapter.Messages, body, 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Guarantee: whatever callers call their fields, and however many there are, what is said of those fits into a header and an error.
func TestNamesOfCallersAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(`x\r\n`, 100_000)
	for _, w := range pairs {
		body := w.begin + `,"` + long + `":1,"a,b":2,"":3,` + many(1000, func(i int) string { return fmt.Sprintf(`"b%d":1`, i) }) + "}"
		tr, err := translated(w.from, w.to, body, 0)
		if err != nil {
			t.Fatal(err)
		}
		if list := strings.Join(tr.Dropped(), ","); len(list) > 4<<10 || strings.ContainsFunc(list, func(c rune) bool { return c <= ' ' || c > '~' }) ||
			strings.Count(list, ",")+1 != len(tr.Dropped()) {
			t.Errorf("%s: %d bytes: %.100q", w.from, len(list), list)
		}
		_, err = translated(w.from, w.to, body, controlv1.ExtraFields_EXTRA_FIELDS_REFUSE)
		if err == nil || len(err.Error()) > 16<<10 {
			t.Errorf("%s: refused with %.100v", w.from, err)
		}
	}
	for _, body := range []string{
		`{"messages":[{"role":"user","content":[{"type":"` + long + `"}]}]}`,
		pairs[0].begin + `,"tools":[{"type":"` + long + `"}]}`,
	} {
		if _, err := translated(adapter.Chat, adapter.Messages, body, 0); err == nil || len(err.Error()) > 16<<10 {
			t.Errorf("refused with %.100v", err)
		}
	}
	for _, body := range []string{
		`{"model":"m","max_tokens":5,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"` + long + `"}]}]}`,
		pairs[1].begin + `,"tools":[{"type":"` + long + `"}]}`,
	} {
		if _, err := translated(adapter.Messages, adapter.Chat, body, 0); err == nil || len(err.Error()) > 16<<10 {
			t.Errorf("refused with %.100v", err)
		}
	}
}

// Guarantee: lists of nothing take no more memory than a few times their text.
//
//nolint:paralleltest // it looks at what the process has allocated
func TestListsOfNothing(t *testing.T) {
	list := "[" + many(1<<20, func(int) string { return "0" }) + "]"
	for name, body := range map[string]string{
		"messages": `{"model":"m","messages":` + list + `}`,
		"content":  `{"model":"m","messages":[{"role":"user","content":` + list + `}]}`,
		"tools":    pairs[0].begin + `,"tools":` + list + `}`,
		"stop":     pairs[0].begin + `,"stop":` + list + `}`,
		"input":    `{"model":"m","input":` + list + `}`,
		"parts":    `{"model":"m","input":[{"role":"user","content":` + list + `}]}`,
		"include":  pairs[2].begin + `,"include":` + list + `}`,
		"calls":    pairs[2].begin + `,"tools":` + list + `}`,
		"blocks":   `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":` + list + `}]}`,
		"system":   pairs[1].begin + `,"system":` + list + `}`,
	} {
		for _, w := range pairs {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = translated(w.from, w.to, body, 0) // most are refused, which is not the question here
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > uint64(16*len(body)) {
				t.Errorf("%s of %s: %d bytes for %d", name, w.from, took, len(body))
			}
		}
	}
}
