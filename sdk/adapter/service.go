package adapter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	adapterv1 "tollgate/gen/tollgate/adapter/v1"
)

// service answers the gateway with an Adapter.
type service struct {
	adapter Adapter
	log     *slog.Logger
}

var (
	errNothing  = errors.New("the adapter answered with nothing")
	errProtocol = errors.New("a stream is a beginning, events and an end")
)

func (s *service) TranslateRequest(ctx context.Context, r *adapterv1.TranslateRequestRequest) (*adapterv1.TranslateRequestResponse, error) {
	call := &Call{Role: Role(r.GetRole()), Adapter: r.GetAdapter(), Model: r.GetModel()}
	from := r.GetRequest()
	request, err := s.adapter.TranslateRequest(ctx, call, &Request{
		Method: from.GetMethod(), Path: from.GetPath(), Query: from.GetQuery(), Header: fromLines(from.GetHeaders()), Body: from.GetBody(),
	})
	if refusal, ok := errors.AsType[*RefusalError](err); ok {
		status := refusal.Status
		if status != 0 && (status < 400 || status > 499) {
			s.log.Warn("a refusal has a status that is none", "status", status)
			status = http.StatusBadRequest
		}
		return &adapterv1.TranslateRequestResponse{Result: &adapterv1.TranslateRequestResponse_Refusal{Refusal: &adapterv1.Refusal{
			Status: uint32(status), Field: valid(refusal.Field), Message: valid(refusal.Message),
		}}}, nil
	}
	if err == nil && request == nil {
		err = errNothing
	}
	if err != nil {
		return nil, s.failed(ctx, "request", err)
	}
	return &adapterv1.TranslateRequestResponse{
		Result: &adapterv1.TranslateRequestResponse_Request{Request: &adapterv1.Request{
			Method: valid(request.Method), Path: valid(request.Path), Query: valid(request.Query),
			Headers: toLines(request.Header), Body: request.Body,
		}},
		State: call.State,
	}, nil
}

func (s *service) TranslateResponse(ctx context.Context, r *adapterv1.TranslateResponseRequest) (*adapterv1.TranslateResponseResponse, error) {
	call := &Call{Role: Role(r.GetRole()), State: r.GetState()}
	response, err := s.adapter.TranslateResponse(ctx, call, fromResponse(r.GetResponse()))
	if err == nil && response == nil {
		err = errNothing
	}
	if err != nil {
		return nil, s.failed(ctx, "response", err)
	}
	return &adapterv1.TranslateResponseResponse{Response: toResponse(response)}, nil
}

func (s *service) TranslateStream(
	ctx context.Context, c *connect.BidiStream[adapterv1.TranslateStreamRequest, adapterv1.TranslateStreamResponse],
) error {
	first, err := c.Receive()
	if err != nil {
		return err
	}
	begin := first.GetBegin()
	if begin == nil {
		return errProtocol
	}
	stream, head, err := s.adapter.NewStream(ctx, &Call{Role: Role(begin.GetRole()), State: begin.GetState()}, fromResponse(begin.GetResponse()))
	if err == nil && stream == nil {
		err = errNothing
	}
	if err != nil {
		return s.failed(ctx, "stream", err)
	}
	answer := &adapterv1.TranslateStreamResponse{}
	if head != nil {
		answer.Response = toResponse(&Response{Status: head.Status, Header: head.Header})
	}
	for ended := false; ; {
		if err := c.Send(answer); err != nil {
			return err
		}
		message, err := c.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var events []Event
		switch part := message.GetPart().(type) {
		case *adapterv1.TranslateStreamRequest_Event:
			events, err = stream.Event(ctx, Event{Type: part.Event.GetType(), Data: part.Event.GetData()})
		case *adapterv1.TranslateStreamRequest_End:
			if ended {
				return errProtocol
			}
			ended = true
			events, err = stream.End(ctx, part.End.GetWhole())
		default:
			return errProtocol
		}
		if err != nil {
			return s.failed(ctx, "event", err)
		}
		answer = &adapterv1.TranslateStreamResponse{Events: make([]*adapterv1.Event, len(events))}
		for i, e := range events {
			answer.Events[i] = &adapterv1.Event{Type: valid(e.Type), Data: e.Data}
		}
	}
}

// failed is what the gateway learns. That nobody waits any more is no failure.
func (s *service) failed(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.log.Error("a translation failed", "of", what, "err", err)
	return errors.New(valid(err.Error()))
}

// recovered makes an error of a panic, so that one exchange fails and the server does not.
func (s *service) recovered(_ context.Context, spec connect.Spec, _ http.Header, p any) error {
	s.log.Error("an adapter panicked", "call", spec.Procedure, "panic", fmt.Sprint(p))
	return errors.New("the adapter panicked")
}

// valid is text that a message can carry.
func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

func fromResponse(r *adapterv1.Response) *Response {
	return &Response{Status: int(r.GetStatus()), Header: fromLines(r.GetHeaders()), Body: r.GetBody()}
}

func toResponse(r *Response) *adapterv1.Response {
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	return &adapterv1.Response{Status: uint32(status), Headers: toLines(r.Header), Body: r.Body}
}

func fromLines(lines []*adapterv1.Header) http.Header {
	h := make(http.Header, len(lines))
	for _, line := range lines {
		h.Add(line.GetName(), line.GetValue())
	}
	return h
}

func toLines(h http.Header) []*adapterv1.Header {
	lines := make([]*adapterv1.Header, 0, len(h))
	for name, values := range h {
		for _, value := range values {
			lines = append(lines, &adapterv1.Header{Name: valid(strings.ToLower(name)), Value: valid(value)})
		}
	}
	return lines
}
