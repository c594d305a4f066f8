package rpc

import (
	"context"
	"strings"
	"unicode"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"tollgate/controlplane/access"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// audited leaves an entry of the audit for each call of a method whose schema asks for it and that makes none by changing
// something: who called what, and about which object, without anything else of the call. A call with one answer is recorded
// when it has succeeded; a stream when it begins, before anything is sent. What cannot be recorded does not happen.
//
// Methods that are about who the caller is, and those that anybody may call, know their caller only at their end and record
// themselves.
type audited struct{ store *store.Store }

// WrapUnary implements connect.Interceptor.
func (a audited) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		method, ok := auditedMethod(req.Spec())
		if !ok {
			return next(ctx, req)
		}
		res, err := next(ctx, req)
		if err != nil {
			return nil, err
		}
		message, _ := req.Any().(proto.Message)
		if err := a.record(ctx, method, message); err != nil {
			return nil, err
		}
		return res, nil
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (a audited) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		method, ok := auditedMethod(conn.Spec())
		if !ok {
			return next(ctx, conn)
		}
		return next(ctx, &auditedConn{StreamingHandlerConn: conn, record: func(m proto.Message) error { return a.record(ctx, method, m) }})
	}
}

// WrapStreamingClient implements connect.Interceptor; no client is on this side.
func (a audited) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// auditedConn records the first message that its handler receives.
type auditedConn struct {
	connect.StreamingHandlerConn

	record func(proto.Message) error
}

func (c *auditedConn) Receive(message any) error {
	if err := c.StreamingHandlerConn.Receive(message); err != nil || c.record == nil {
		return err
	}
	record := c.record
	c.record = nil
	m, _ := message.(proto.Message)
	return record(m)
}

func auditedMethod(spec connect.Spec) (protoreflect.MethodDescriptor, bool) {
	method, ok := spec.Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, false
	}
	rule, _ := proto.GetExtension(method.Options(), controlv1.E_Access).(*controlv1.MethodAccess)
	return method, rule.GetAudited() && rule.GetPermission() != access.Anyone && method.Parent().Name() != "AccountService"
}

// auditKinds are the kinds of what services that change nothing of the configuration are about.
var auditKinds = map[protoreflect.Name]string{
	"EdgeService": "edge", "TryService": "try", "UsageService": "request",
}

func (a audited) record(ctx context.Context, method protoreflect.MethodDescriptor, m proto.Message) error {
	service := method.Parent().Name()
	kind, ok := auditKinds[service]
	if !ok {
		kind = snake(strings.TrimSuffix(string(service), "Service"))
	}
	return a.store.Record(ctx, actor(ctx), snake(string(method.Name())), kind, objectOf(m), nil)
}

// objectOf is what a request names first. A field that may hold a secret names nothing.
func objectOf(m proto.Message) string {
	if m == nil {
		return ""
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		options, _ := f.Options().(*descriptorpb.FieldOptions)
		if f.Kind() != protoreflect.StringKind || f.IsList() || f.IsMap() || options.GetDebugRedact() {
			continue
		}
		text := []rune(m.ProtoReflect().Get(f).String())
		return string(text[:min(len(text), 200)])
	}
	return ""
}

// snake writes DrainNode as drain_node.
func snake(name string) string {
	var out strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
