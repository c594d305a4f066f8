package meter_test

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"tollgate/internal/meter"
)

// message is a text message of a WebSocket as its bytes are; those of a caller are masked, here with zeros.
func message(text []byte, sent bool) []byte {
	mask := byte(0)
	if sent {
		mask = 0x80
	}
	out := []byte{0x81}
	switch n := len(text); {
	case n < 126:
		out = append(out, mask|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, mask|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, mask|127), uint64(n))
	}
	if sent {
		out = append(out, 0, 0, 0, 0)
	}
	return append(out, text...)
}

// Guarantee: of a conversation over a WebSocket the usage of every answer is added, and what the caller says is looked
// at as well.
func TestRealtimeConversations(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../testenv/vectors/testdata/openai-realtime/ws-*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no recordings", err)
	}
	doc := read(t, "openai")
	played := 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var recorded struct {
			Interactions []struct {
				Direction string
				Data      map[string]any
			}
		}
		if err := yaml.Unmarshal(text, &recorded); err != nil {
			t.Fatal(name, err)
		}
		r := &meter.Request{Method: "GET", Path: "/v1/realtime", Query: "model=gpt-realtime", WebSocket: true, Length: -1}
		x := compile(t, doc).Match(r).Start(r, nil)
		x.Answered(101, func(string) string { return "" })
		want := map[string]int{}
		add := func(counter string, usage any, path ...string) {
			for _, step := range path {
				fields, _ := usage.(map[string]any)
				usage = fields[step]
			}
			if n, ok := usage.(int); ok {
				want[counter] += n
			}
		}
		for _, one := range recorded.Interactions {
			sent := one.Direction == "sent"
			data, err := json.Marshal(one.Data)
			if err != nil {
				t.Fatal(name, err)
			}
			if sent {
				response, _ := one.Data["response"].(map[string]any)
				if said, ok := response["instructions"].(string); ok {
					want["asked"] += utf8.RuneCountInString(said)
				}
				x.Sent(message(data, true))
				continue
			}
			if one.Data["type"] == "response.done" {
				add("text_in", one.Data, "response", "usage", "input_token_details", "text_tokens")
				add("audio_in", one.Data, "response", "usage", "input_token_details", "audio_tokens")
				add("text_out", one.Data, "response", "usage", "output_token_details", "text_tokens")
				add("audio_out", one.Data, "response", "usage", "output_token_details", "audio_tokens")
			}
			whole := message(data, false)
			x.Received(whole[:len(whole)/2])
			x.Received(whole[len(whole)/2:])
		}
		b := x.End(meter.End{Whole: true})
		var counts []string
		for _, counter := range []string{"text_in", "audio_in", "text_out", "audio_out", "asked"} {
			if n, ok := want[counter]; ok {
				counts = append(counts, counter+"="+strconv.Itoa(n))
			}
		}
		if got := strings.Join(counts, ","); b.Counts != got || b.Model != "gpt-realtime" || len(b.Unpriced) > 0 {
			t.Errorf("%s: %s of %s, %q, want %s", filepath.Base(name), b.Counts, b.Model, b.Unpriced, got)
		}
		if want["audio_out"] > 0 {
			played++
		}
	}
	if played == 0 {
		t.Error("no conversation had usage")
	}
}
