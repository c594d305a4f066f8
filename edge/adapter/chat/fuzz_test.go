package chat

import (
	"bytes"
	"errors"
	"testing"

	"tollgate/edge/adapter"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter/frame"
	"tollgate/internal/testenv/schemas"
	"tollgate/internal/testenv/vectors"
)

// corpus are the recorded bodies that are short, so that fuzzing begins with what is sent in practice.
func corpus(f *testing.F, add func(x vectors.Exchange)) {
	f.Helper()
	for _, x := range vectors.All(f) {
		if len(x.RequestBody) < 4<<10 && len(x.Body) < 8<<10 {
			add(x)
		}
	}
}

// Guarantee: any request is translated into JSON with all that Anthropic requires, or refused; nothing panics.
func FuzzRequest(f *testing.F) {
	corpus(f, func(x vectors.Exchange) {
		if bytes.Contains(x.RequestBody, []byte(`"messages"`)) {
			f.Add(x.RequestBody, uint8(0))
			f.Add(x.RequestBody, uint8(255))
		}
	})
	f.Add([]byte(`{"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"a.b","parameters":{ }}}],"tool_choice":"required","stop":["\\n"]}`), uint8(3))
	f.Add([]byte(`{"messages":[{"role":"user","content":[]},{"role":"assistant","content":"0"}]}`), uint8(30))
	f.Fuzz(func(t *testing.T, body []byte, bits uint8) {
		c := call()
		c.Options = &controlv1.VendorOptions{
			TopK: bits&1 != 0, WebSearch: bits&2 != 0, JsonObjectAsSchema: bits&4 != 0,
			Thinking: controlv1.Thinking(bits >> 3 & 3), ExtraFields: controlv1.ExtraFields(bits >> 5 & 3),
		}
		tr, err := Translate(body, c)
		if err != nil {
			var refusal *adapter.Error
			if !errors.As(err, &refusal) || refusal.Kind != adapter.Invalid || refusal.Message == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		if !frame.Valid(tr.Body()) {
			t.Fatalf("%s", tr.Body())
		}
		if c.Options.GetExtraFields() == controlv1.ExtraFields_EXTRA_FIELDS_PASS {
			return // what nobody knows cannot be checked
		}
		if err := schemas.Check("anthropic-request", tr.Body()); err != nil {
			t.Fatalf("%v\n%s", err, tr.Body())
		}
	})
}

// Guarantee: any answer becomes a valid one, or an error; nothing panics.
func FuzzAnswer(f *testing.F) {
	corpus(f, func(x vectors.Exchange) {
		if bytes.Contains(x.Body, []byte(`"stop_reason"`)) && !x.Stream {
			f.Add(x.Body, false)
			f.Add(x.Body, true)
		}
	})
	f.Fuzz(func(t *testing.T, body []byte, legacy bool) {
		tr := &translation{call: call(), legacy: legacy}
		out, err := tr.Answer(t.Context(), body)
		if err != nil {
			var failure *adapter.Error
			if !errors.As(err, &failure) || failure.Message == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		if err := schemas.Check("openai-chat-completion", out); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}

// Guarantee: any stream becomes a legal one, at every prefix and in any pieces, with an end only if it had one; nothing panics.
func FuzzStream(f *testing.F) {
	corpus(f, func(x vectors.Exchange) {
		if bytes.Contains(x.Body, []byte(`"message_start"`)) && x.Stream {
			f.Add(x.Body, uint16(7))
			f.Add(x.Body, uint16(1000))
		}
	})
	f.Add(script(begin, openF, sayF, closeF, finish, stop), uint16(64))
	f.Fuzz(func(t *testing.T, body []byte, size uint16) {
		tr := &translation{call: call(), usage: size%2 == 0, legacy: size%3 == 0}
		s := tr.Stream(t.Context())
		var (
			out []byte
			err error
		)
		for left := body; len(left) > 0 && err == nil; {
			n := min(int(size)+1, len(left))
			out, err = s.Next(out, left[:n])
			left = left[n:]
		}
		if err == nil {
			out, err = s.End(out, size%5 != 0)
		}
		if failure, ok := errors.AsType[*adapter.Error](err); ok {
			out = s.Fail(out, failure, "")
		} else if err != nil {
			t.Fatal(err)
		}
		got, wrong := schemas.ChatStream(out, tr.usage)
		if wrong != nil || got.Done == (err != nil) || (got.Error != "") != (err != nil) {
			t.Fatalf("%v, %v\n%s", wrong, err, out)
		}
	})
}
