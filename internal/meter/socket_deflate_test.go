package meter_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"

	"tollgate/internal/meter"
	"tollgate/internal/money"
)

// deflater compresses the messages of one side as permessage-deflate does.
type deflater struct {
	buf   bytes.Buffer
	w     *flate.Writer
	fresh bool // each message is read without those before it
}

func newDeflater(tb testing.TB, window int, fresh bool) *deflater {
	tb.Helper()
	d := &deflater{fresh: fresh}
	var err error
	if d.w, err = flate.NewWriterWindow(&d.buf, window); err != nil {
		tb.Fatal(err)
	}
	return d
}

func (d *deflater) message(tb testing.TB, text string, sent bool) []byte {
	tb.Helper()
	d.buf.Reset()
	if d.fresh {
		d.w.Reset(&d.buf)
	}
	if _, err := d.w.Write([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	if err := d.w.Flush(); err != nil {
		tb.Fatal(err)
	}
	out := message(bytes.TrimSuffix(d.buf.Bytes(), []byte{0, 0, 0xff, 0xff}), sent)
	out[0] |= 0x40
	return out
}

// Guarantee: whatever the two sides of a WebSocket have agreed on for its compression, what they send is counted as if it
// were not compressed, in pieces of any size; where nothing was agreed on, the cost is not known and said not to be.
func TestCompressedConversations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		agreed  string
		window  int // of both sides; 0 for no compression
		fresh   bool
		unknown bool
	}{
		"not compressed":          {},
		"not used":                {agreed: "permessage-deflate"},
		"one stream":              {agreed: "permessage-deflate", window: 32 << 10},
		"with parameters":         {agreed: "permessage-deflate; client_max_window_bits=15; server_max_window_bits=15", window: 32 << 10},
		"a small window":          {agreed: "Permessage-Deflate;server_max_window_bits=9;client_max_window_bits=9", window: 512},
		"each message on its own": {agreed: "permessage-deflate; server_no_context_takeover; client_no_context_takeover", window: 32 << 10, fresh: true},
		"not agreed on":           {window: 32 << 10, unknown: true},
		"another agreed on":       {agreed: "x-webkit-deflate-frame", window: 32 << 10, unknown: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			write := func() func(testing.TB, string, bool) []byte {
				if tc.window == 0 {
					return func(_ testing.TB, text string, sent bool) []byte { return message([]byte(text), sent) }
				}
				return newDeflater(t, tc.window, tc.fresh).message
			}
			up, down := write(), write()
			r := &meter.Request{Method: "GET", Path: "/v1/realtime", Query: "model=gpt-realtime", WebSocket: true, Length: -1}
			x := compile(t, read(t, "openai")).Match(r).Start(r, nil)
			x.Answered(101, (&answer{headers: map[string]string{"Sec-WebSocket-Extensions": tc.agreed}}).header)
			const turns = 40
			for range turns {
				x.Sent(up(t, `{"type":"response.create","response":{"instructions":"Olá"}}`, true))
				said, err := json.Marshal(strings.Repeat("Once upon a time there was a gateway. ", 50))
				if err != nil {
					t.Fatal(err)
				}
				for _, text := range []string{
					`{"type":"response.output_text.delta","delta":` + string(said) + `}`,
					`{"type":"response.done","response":{"usage":{"input_token_details":{"text_tokens":7,"audio_tokens":5},"output_token_details":{"text_tokens":3,"audio_tokens":2}}}}`,
				} {
					for p := down(t, text, false); len(p) > 0; {
						n := min(11, len(p))
						x.Received(p[:n])
						p = p[n:]
					}
				}
			}
			b := x.End(meter.End{Whole: true})
			const perTurn = 7*4_000 + 5*32_000 + 3*16_000 + 2*64_000
			if tc.unknown {
				if why := strings.Join(b.Unpriced, "; "); b.Counts != "@partial=1,@model=gpt-realtime" || strings.Count(why, "compressed, which was not agreed on") != 2 || !strings.Contains(why, "of what was sent") {
					t.Errorf("%q, unpriced because of %s", b.Counts, why)
				}
				return
			}
			want := "text_in=280,audio_in=200,text_out=120,audio_out=80,asked=120"
			if b.Counts != want || b.Cost != money.Nanos(turns*perTurn) || len(b.Unpriced) > 0 {
				t.Errorf("%q for %s, unpriced because of %q", b.Counts, b.Cost, b.Unpriced)
			}
		})
	}
}
