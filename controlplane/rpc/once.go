package rpc

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"tollgate/controlplane/access"
	"tollgate/controlplane/store"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

const (
	dryRunHeader      = "x-tollgate-dry-run"
	idempotencyHeader = "Idempotency-Key"
	longestKey        = 255
)

// Answers seals what calls were answered, which may hold a secret, until they are sent again.
type Answers interface {
	SealAnswer(id string, answer []byte) ([]byte, error)
	OpenAnswer(id string, sealed []byte) ([]byte, error)
}

// outside are methods that do something that no transaction of the database holds. They cannot be tried without their effect, and
// whether one had its effect is not known when its process ends on the way.
var outside = map[string]bool{
	controlv1connect.AccountServiceSignInProcedure:             true,
	controlv1connect.AccountServiceRedeemLinkProcedure:         true,
	controlv1connect.AccountServiceSignOutProcedure:            true,
	controlv1connect.AccountServiceChangePasswordProcedure:     true,
	controlv1connect.AccountServiceEndSessionProcedure:         true,
	controlv1connect.AccountServiceStartDeviceSignInProcedure:  true,
	controlv1connect.AccountServicePollDeviceSignInProcedure:   true,
	controlv1connect.AccountServiceDecideDeviceSignInProcedure: true,
	controlv1connect.AlertServiceTestAlertChannelProcedure:     true,
	controlv1connect.EdgeServiceDrainNodeProcedure:             true,
	controlv1connect.EdgeServiceResetBreakerProcedure:          true,
	controlv1connect.EdgeServiceJoinProcedure:                  true,
	controlv1connect.EdgeServiceProbeTargetProcedure:           true,
	controlv1connect.TryServiceCreateTicketProcedure:           true,
	controlv1connect.TryServiceInvokeProcedure:                 true,
	controlv1connect.UsageServiceRepriceRequestsProcedure:      true,
}

// calls gives calls the two properties that their headers ask for: to leave no trace, and to be made once however often they are
// sent.
type calls struct {
	store   *store.Store
	answers Answers
}

// WrapUnary implements connect.Interceptor.
func (c calls) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		rule, _ := access.Method(req.Spec().Procedure)
		dry, key, err := asked(req.Header())
		switch {
		case err != nil:
			return nil, err
		case !rule.Writes:
			return next(ctx, req)
		case dry:
			return c.dryRun(ctx, req, next)
		case key != "" && rule.Permission != access.Anyone: // who is not known cannot be recognised
			return c.once(ctx, key, req, next)
		default:
			return next(ctx, req)
		}
	}
}

// WrapStreamingHandler implements connect.Interceptor. A stream that acts does so while it is read.
func (c calls) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		rule, _ := access.Method(conn.Spec().Procedure)
		dry, key, err := asked(conn.RequestHeader())
		switch {
		case err != nil:
			return err
		case rule.Writes && dry:
			return noDryRun(conn.Spec().Procedure)
		case rule.Writes && key != "":
			return invalid(idempotencyHeader, "A stream cannot be made once only: send it without Idempotency-Key.")
		default:
			return next(ctx, conn)
		}
	}
}

// WrapStreamingClient implements connect.Interceptor; no client is on this side.
func (c calls) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// asked reads both headers.
func asked(h http.Header) (dry bool, key string, err error) {
	switch h.Get(dryRunHeader) {
	case "", "false":
	case "true":
		dry = true
	default:
		return false, "", invalid(dryRunHeader, "x-tollgate-dry-run is true or false.")
	}
	key = h.Get(idempotencyHeader)
	if len(key) > longestKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return false, "", invalid(idempotencyHeader, "An Idempotency-Key is at most 255 printable characters of ASCII.")
	}
	return dry, key, nil
}

func invalid(field, reason string) error {
	return fault.New(fault.InvalidArgument, "%s", reason).WithViolations(fault.Violation{Field: field, Code: "invalid", Reason: reason})
}

func noDryRun(procedure string) error {
	_, method, _ := strings.Cut(strings.TrimPrefix(procedure, "/"), "/")
	return fault.New(fault.FailedPrecondition, "%s acts outside of the database, so it cannot be tried without its effect.", method).
		WithHint("Send it without x-tollgate-dry-run.")
}

// dryRun makes a call and takes everything back. What its answer shows once only is left out: it works for nobody.
func (c calls) dryRun(ctx context.Context, req connect.AnyRequest, next connect.UnaryFunc) (res connect.AnyResponse, err error) {
	if outside[req.Spec().Procedure] {
		return nil, noDryRun(req.Spec().Procedure)
	}
	err = c.store.Together(ctx, actor(ctx), true, func(ctx context.Context) (err error) {
		res, err = next(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	if m, ok := res.Any().(proto.Message); ok {
		redact(m.ProtoReflect())
		if f := m.ProtoReflect().Descriptor().Fields().ByName("secret"); f != nil && f.Kind() == protoreflect.StringKind {
			m.ProtoReflect().Clear(f) // of a key or token, shown once
		}
	}
	res.Header().Set(dryRunHeader, "true")
	return res, nil
}

// redact clears what the schema says is secret.
func redact(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		options, _ := f.Options().(*descriptorpb.FieldOptions)
		switch {
		case options.GetDebugRedact():
			m.Clear(f)
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				redact(v.List().Get(i).Message())
			}
		default:
			redact(v.Message())
		}
		return true
	})
}

// once makes a call unless it was made before, and gives the answer that it got then.
func (c calls) once(ctx context.Context, key string, req connect.AnyRequest, next connect.UnaryFunc) (res connect.AnyResponse, err error) {
	m, ok := req.Any().(proto.Message)
	if !ok || c.answers == nil {
		return nil, errors.New("no answers can be kept")
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	call := store.Call{Actor: actor(ctx), Key: key, Procedure: req.Spec().Procedure, Hash: sha256.Sum256(raw)}
	run := func(ctx context.Context) (answer []byte, err error) {
		if res, err = next(ctx, req); err != nil {
			return nil, err
		}
		return c.seal(call, res)
	}
	var kept []byte
	if outside[call.Procedure] {
		kept, err = c.claimed(ctx, call, run)
	} else {
		kept, err = c.store.Once(ctx, call, run)
	}
	if err != nil {
		return nil, err
	}
	if kept != nil {
		return c.open(call, kept, req)
	}
	return res, nil
}

// claimed makes a call that acts outside of the database. One that was refused frees its key; after any other failure nobody
// knows, and the key stays taken.
func (c calls) claimed(ctx context.Context, call store.Call, run func(context.Context) ([]byte, error)) (kept []byte, err error) {
	if kept, err = c.store.Claim(ctx, call); err != nil || kept != nil {
		return kept, err
	}
	answer, err := run(ctx)
	after := context.WithoutCancel(ctx)
	if err != nil {
		switch classify(ctx, err).Kind() {
		case fault.Internal, fault.Timeout, fault.Unavailable:
			return nil, err
		default:
			return nil, errors.Join(err, c.store.Unclaim(after, call))
		}
	}
	return nil, c.store.Keep(after, call, answer)
}

// idOf binds an envelope to its call.
func idOf(call store.Call) string { return call.Actor + "\x00" + call.Key }

func (c calls) seal(call store.Call, res connect.AnyResponse) ([]byte, error) {
	m, ok := res.Any().(proto.Message)
	if !ok {
		return nil, errors.New("an answer is no message")
	}
	raw, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return c.answers.SealAnswer(idOf(call), raw)
}

func (c calls) open(call store.Call, kept []byte, req connect.AnyRequest) (connect.AnyResponse, error) {
	method, ok := req.Spec().Schema.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, errors.New("a method has no schema")
	}
	raw, err := c.answers.OpenAnswer(idOf(call), kept)
	if err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(method.Output())
	if err := proto.Unmarshal(raw, m); err != nil {
		return nil, err
	}
	res := connect.NewResponse(m)
	res.Header().Set("x-tollgate-idempotent-replay", "true")
	return res, nil
}
