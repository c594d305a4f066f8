package proxy

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// lastData is the data of the last event of a stream.
func lastData(text string) string {
	data := ""
	for line := range strings.Lines(text) {
		if d, ok := strings.CutPrefix(line, "data: "); ok {
			data = strings.TrimSuffix(d, "\n")
		}
	}
	return data
}

func streamedModel(t *testing.T, vendor upstreamFunc) *modelBench {
	t.Helper()
	return newModels(t, vendorsOfTest{"openai": vendor}, []*eventv1.RouteModel{modelOfTest("claude", deployment(t, "openai", "gpt-4o", schemaChat))})
}

// Guarantee: a stream that ends before it is whole, however it does, ends for the caller with an error in its schema and as a broken
// connection; nothing that looks like an end is invented, and there is one settlement.
func TestTranslatedStreamsThatEndEarly(t *testing.T) {
	t.Parallel()
	for n := range 5 {
		for how, breaks := range map[string]error{"closed": nil, "reset": errBroken} {
			b := streamedModel(t, streams(breaks, chatStream()[:n]...))
			if how == "closed" && n == 4 {
				continue // the vendor has said why it stops: that is an end
			}
			out := b.ask(context.Background(), &got{}, "POST", "/messages", hiStream)
			text := out.body.String()
			if out.status != 200 || !out.aborted || strings.Contains(text, "message_stop") || gjson.Get(lastData(text), "error.type").String() != "api_error" {
				t.Errorf("%s after %d: aborted %v, got %s", how, n, out.aborted, text)
			}
			_, _, end := (&stages{bench: b.bench}).lastIntent()
			if end.Outcome != eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED || !end.Unpriced {
				t.Errorf("%s after %d: settled %+v", how, n, end)
			}
		}
	}
	failing := append(chatStream()[:2:2], `data: {"error":{"message":"no more","type":"server_error"}}`+"\n\n")
	b := streamedModel(t, streams(nil, failing...))
	out := b.ask(context.Background(), &got{}, "POST", "/messages", hiStream)
	if !out.aborted || !strings.Contains(lastData(out.body.String()), "no more") || strings.Contains(out.body.String(), "message_stop") {
		t.Errorf("after an error: %s", out.body.String())
	}
}

// Guarantee: whoever leaves in the middle of a translated stream, after any of its pieces, leaves one settlement behind.
func TestCallerLeavesTranslatedStream(t *testing.T) {
	t.Parallel()
	for n := range len(chatStream()) {
		ctx, cancel := context.WithCancelCause(context.Background())
		out := &got{}
		b := streamedModel(t, func(context.Context, *Attempt) (*Answer, error) {
			s := &script{pieces: chatStream(), between: func(k int) {
				if k == n {
					cancel(ErrCallerGone)
					out.fails = errors.New("gone")
				}
			}}
			return &Answer{Status: 200, Headers: []Header{{"Content-Type", "text/event-stream"}}, Length: -1, Body: &scriptBody{s: s}}, nil
		})
		b.ask(ctx, out, "POST", "/messages", hiStream)
		_, _, end := (&stages{bench: b.bench}).lastIntent()
		if end.Outcome != eventv1.SpendOutcome_SPEND_OUTCOME_CALLER_GONE && n < len(chatStream())-1 || !out.aborted && n < len(chatStream())-1 {
			t.Errorf("after %d: settled %+v", n, end)
		}
	}
}

// Guarantee: a translated stream that can't be paid any more is cut with an error of billing in the caller's schema, and costs no more
// than there was.
func TestTranslatedStreamIsCut(t *testing.T) {
	t.Parallel()
	pieces := chatStream()
	for i := range pieces[:4] { // a vendor that tells its usage as it grows
		pieces[i] = strings.Replace(pieces[i], `"choices"`, `"usage":{"prompt_tokens":17,"completion_tokens":`+[]string{"1", "20", "4000", "9000"}[i]+`},"choices"`, 1)
	}
	b := streamedModel(t, streams(nil, pieces...))
	b.money.left = 2 * money.Dollar / 100
	out := b.ask(context.Background(), &got{}, "POST", "/messages", hiStream)
	text := out.body.String()
	if !out.aborted || gjson.Get(lastData(text), "error.type").String() != "billing_error" || !strings.Contains(text, "Hello") || strings.Contains(text, "there") {
		t.Errorf("got %s", text)
	}
	if _, _, end := (&stages{bench: b.bench}).lastIntent(); end.Outcome != outcomeCut || end.Cost > 2*money.Dollar/100 || end.Cost == 0 {
		t.Errorf("settled %+v", end)
	}
}

// Guarantee: while a vendor is silent the caller hears every 15 seconds that the stream goes on, and not once it has ended.
func TestPings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := streamedModel(t, func(context.Context, *Attempt) (*Answer, error) {
			s := &script{pieces: chatStream(), between: func(k int) {
				if k == 2 {
					time.Sleep(40 * time.Second)
				}
			}}
			return &Answer{Status: 200, Headers: []Header{{"Content-Type", "text/event-stream"}}, Length: -1, Body: &scriptBody{s: s}}, nil
		})
		out := b.ask(context.Background(), &got{}, "POST", "/messages", hiStream)
		before := strings.Count(out.body.String(), "event: ping")
		time.Sleep(time.Minute)
		text := out.body.String()
		_, rest, _ := strings.Cut(text, "Hello")
		silent, _, _ := strings.Cut(rest, "there")
		if n := strings.Count(silent, "event: ping"); n != 2 || out.aborted || strings.Count(text, "event: ping") != before {
			t.Errorf("%d pings in %s", n, text)
		}
	})
}

// Guarantee: what is answered in the wrong form is still told in the caller's schema: a whole answer in place of a stream, a compressed
// stream, one that breaks off before it is whole.
func TestAnswersInAnotherForm(t *testing.T) {
	t.Parallel()
	b := streamedModel(t, says(200, chatAnswer))
	out := b.ask(context.Background(), &got{}, "POST", "/messages", hiStream)
	if out.status != 200 || gjson.Get(out.body.String(), "type").String() != "message" {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
	b = streamedModel(t, func(context.Context, *Attempt) (*Answer, error) {
		return &Answer{Status: 200, Headers: []Header{{"Content-Type", "text/event-stream"}, {"Content-Encoding", "br"}}, Length: -1, Body: io.NopCloser(strings.NewReader("x"))}, nil
	})
	out = b.ask(context.Background(), &got{}, "POST", "/messages", hiStream)
	if out.status != 502 || get(out.headers, HeaderError) != "upstream_answer_invalid" {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
	b = streamedModel(t, func(context.Context, *Attempt) (*Answer, error) {
		s := &script{pieces: []string{chatAnswer[:40]}, breaks: errBroken}
		return &Answer{Status: 200, Headers: []Header{jsonType}, Length: int64(len(chatAnswer)), Body: &scriptBody{s: s}}, nil
	})
	out = b.ask(context.Background(), &got{}, "POST", "/messages", hi)
	if out.status != 502 || get(out.headers, HeaderError) != "upstream_answer_invalid" || out.aborted {
		t.Errorf("got %d %s", out.status, out.body.String())
	}
	if _, _, end := (&stages{bench: b.bench}).lastIntent(); end.Outcome != eventv1.SpendOutcome_SPEND_OUTCOME_INTERRUPTED {
		t.Errorf("settled %+v", end)
	}
	checkSchema(t, "anthropic-error", out.body.String())
	if used := b.gateway.room.used.Load(); used != 0 {
		t.Errorf("%d bytes of the room are gone", used)
	}
}

// Guarantee: a whole answer may come slowly: what ends it is silence, and not the time that it takes.
func TestSlowWholeAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pause time.Duration
		want  int
	}{"slow": {patience * 2 / 3, 200}, "silent": {patience + time.Second, 502}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := streamedModel(t, func(context.Context, *Attempt) (*Answer, error) {
					silent := make(chan error, 1)
					body := &scriptBody{s: &script{pieces: strings.SplitAfter(chatAnswer, ",")}}
					body.s.between = func(int) {
						select {
						case <-time.After(tc.pause):
						case body.s.breaks = <-silent:
							body.s.pieces = body.s.pieces[:body.n]
						}
					}
					return &Answer{Status: 200, Headers: []Header{jsonType}, Length: int64(len(chatAnswer)), Body: body, Cancel: func(why error) { silent <- why }}, nil
				})
				b.gateway.cfg.StreamIdle = patience
				if out := b.ask(context.Background(), &got{}, "POST", "/messages", hi); out.status != tc.want {
					t.Errorf("answered %d %s", out.status, out.body.String())
				}
			})
		})
	}
}
