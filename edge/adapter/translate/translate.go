// Package translate chooses how a request of one schema becomes one of another: by one of the translations beside it, or by two
// of them, one behind the other. It promises that a way that is not there is refused by name, and never guessed.
//
// It knows nothing of HTTP and money. A request whose schema the vendor takes is no business of this package.
package translate

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/adapter"
	"tollgate/edge/adapter/chat"
	"tollgate/edge/adapter/messages"
	"tollgate/edge/adapter/responses"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// step translates a request.
type step func(body []byte, call *adapter.Call) (adapter.Translation, error)

// ways are all that there are, each client's best one first.
var ways = map[adapter.Schema][]struct {
	to    adapter.Schema
	steps []step
}{
	adapter.Messages:  {{adapter.Chat, []step{messages.Translate}}},
	adapter.Chat:      {{adapter.Messages, []step{chat.Translate}}},
	adapter.Responses: {{adapter.Chat, []step{responses.Translate}}, {adapter.Messages, []step{responses.Translate, chat.Translate}}},
}

// To says into which of the vendor's schemas a client's is translated; false if into none.
func To(client adapter.Schema, vendor []adapter.Schema) (adapter.Schema, bool) {
	for _, way := range ways[client] {
		for _, s := range vendor {
			if s == way.to {
				return s, true
			}
		}
	}
	return 0, false
}

// New translates a request of a client's schema into another one. The error is an *adapter.Error that names the field and the
// vendor.
func New(client, vendor adapter.Schema, body []byte, call *adapter.Call) (adapter.Translation, error) {
	for _, way := range ways[client] {
		if way.to != vendor {
			continue
		}
		if len(way.steps) == 1 {
			return way.steps[0](body, call)
		}
		between := *call
		between.Options = everything(call.Options)
		outer, err := way.steps[0](body, &between)
		if err != nil {
			return nil, err
		}
		inner, err := way.steps[1](outer.Body(), call)
		if err != nil {
			return nil, inTheirWords(err)
		}
		return Join(outer, inner), nil
	}
	return nil, adapter.Refuse("", "%s speaks %s, into which requests of %s are not translated.", call.Vendor, vendor, client)
}

// fields are those of Chat Completions that a caller of Responses knows by another name. Items and messages are not numbered alike.
var fields = map[string]string{
	"messages": "input", "max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens",
	"reasoning_effort": "reasoning.effort", "response_format": "text.format", "verbosity": "text.verbosity", "image_url": "input_image",
}

// theirs is a field of the request between two translations as the caller has it.
func theirs(field string) string {
	end := strings.IndexAny(field, ".[")
	if end < 0 {
		end = len(field)
	}
	name, ok := fields[field[:end]]
	if !ok {
		return field
	}
	if name == "input" {
		return name
	}
	return name + field[end:]
}

// inTheirWords names the field of a refusal as the caller has it, who never saw the request between two translations.
func inTheirWords(err error) error {
	var e *adapter.Error
	if !errors.As(err, &e) || e.Param == "" {
		return err
	}
	out := *e
	out.Param = theirs(e.Param)
	if rest, ok := strings.CutPrefix(e.Message, e.Param); ok {
		out.Message = out.Param + rest
	}
	return &out
}

// everything are the options of the schema between two translations: it says all that can be said in it, and the second
// translation decides what the vendor takes.
func everything(vendor *controlv1.VendorOptions) *controlv1.VendorOptions {
	o := proto.CloneOf(vendor)
	if o == nil {
		o = &controlv1.VendorOptions{}
	}
	o.MaxTokensField, o.Thinking = controlv1.MaxTokensField_MAX_TOKENS_FIELD_UNSPECIFIED, controlv1.Thinking_THINKING_UNSPECIFIED
	o.Files, o.ReasoningContent, o.StringContent, o.NoStreamUsage = true, true, false, false
	o.DeveloperRole, o.SafetyIdentifier, o.MaxStopSequences = false, false, -1
	return o
}

// Between are options of Chat Completions that nobody but another translation reads.
func Between() *controlv1.VendorOptions { return everything(nil) }

// Join makes one translation of two: the outer one is the client's, whose body the inner one has translated on.
func Join(outer, inner adapter.Translation) adapter.Translation { return &joined{outer, inner} }

type joined struct{ outer, inner adapter.Translation }

func (j *joined) Body() []byte  { return j.inner.Body() }
func (j *joined) Streams() bool { return j.outer.Streams() }

// Dropped are what the outer one has left out. What the inner one has is of a body that the caller never saw; it is named all the
// same, because most names are those of both.
func (j *joined) Dropped() []string { return merge(j.outer.Dropped(), j.inner.Dropped()) }

// merge makes one sorted list of two, in which nothing is twice.
func merge(a, b []string) []string {
	out := make([]string, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		var next string
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			next, a = a[0], a[1:]
		case len(a) == 0 || b[0] < a[0]:
			next, b = b[0], b[1:]
		default:
			next, a, b = a[0], a[1:], b[1:]
		}
		out = append(out, next)
	}
	return out
}

func (j *joined) Answer(ctx context.Context, body []byte) ([]byte, error) {
	between, err := j.inner.Answer(ctx, body)
	if err != nil {
		return nil, err
	}
	return j.outer.Answer(ctx, between)
}

func (j *joined) Stream(ctx context.Context) adapter.Stream {
	return Through(j.outer.Stream(ctx), j.inner.Stream(ctx))
}

// Through sends what the inner stream comes to through the outer one, which is the client's.
func Through(outer, inner adapter.Stream) adapter.Stream { return &stream{outer: outer, inner: inner} }

// stream is two streams, one behind the other.
type stream struct {
	outer, inner adapter.Stream
	between      []byte // what the inner one has made of the piece at hand
}

func (s *stream) Next(dst, piece []byte) ([]byte, error) {
	between, failed := s.inner.Next(s.between[:0], piece)
	s.between = between
	// What came before the error was whole, and goes on.
	if len(between) > 0 {
		var err error
		if dst, err = s.outer.Next(dst, between); err != nil {
			return dst, err
		}
	}
	return dst, failed
}

func (s *stream) End(dst []byte, whole bool) ([]byte, error) {
	between, failed := s.inner.End(s.between[:0], whole)
	s.between = between
	if len(between) > 0 {
		var err error
		if dst, err = s.outer.Next(dst, between); err != nil {
			return dst, err
		}
	}
	if failed != nil {
		return dst, failed
	}
	return s.outer.End(dst, whole)
}

func (s *stream) Fail(dst []byte, err *adapter.Error, requestID string) []byte {
	return s.outer.Fail(dst, err, requestID)
}

func (s *stream) Ping(dst []byte) []byte { return s.outer.Ping(dst) }
