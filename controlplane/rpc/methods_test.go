package rpc_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
)

// Every method of the API is tried over every protocol with what is right, with each way to be wrong, with an etag of the
// past and with the name of nothing; what it does for whom is in roles_test.go.
//
// To add cases: in methods_<service>_test.go, call covers("XService", map[string]cases{"GetX": {…}}). All cases of a service
// run one after the other on one database, in the order of the methods' names, so each makes what it needs with the
// clients of w, which hold the admin token, under names that w.name hands out. A method that has no case of a kind that
// seems to apply says why in `without`.

// cases are what one method is tried with.
type cases struct {
	right    func(w *world) proto.Message
	check    func(w *world, res proto.Message) // looks at the answer to right; nil for no more than that there is one
	wrong    []wrong
	stale    func(w *world) proto.Message // has an etag that was right once
	notFound func(w *world) proto.Message
	as       func(w *world) string // credential of the caller; nil for the admin token
	without  map[string]string     // kind ("wrong", "stale", "notFound") → why there is none
}

// wrong is a request that is refused, and how.
type wrong struct {
	violation string // "field:code", among those of the answer; empty where it is not about a field
	request   func(w *world) proto.Message
	code      connect.Code // 0: invalid_argument
}

// world is where cases happen.
type world struct {
	*bundle
	ledger *books
	names  int
	who    somebody // who makes the calls of a method, where its cases need to know

	etag string // that was right once
}

// newWorld has nothing in it but a ledger, in which there is one request.
func newWorld(t *testing.T) *world {
	t.Helper()
	b, ledger := withLedger(t, ledgerToken)
	ledger.states = &ledgerv1.ListAccountStatesResponse{AsOfUnixMs: time.Now().UnixMilli()}
	ledger.usage = &ledgerv1.QueryUsageResponse{Rows: []*ledgerv1.UsageRow{{Day: "2026-11-01", Requests: 1}}}
	ledger.list = func(_ context.Context, req *ledgerv1.ListRequestsRequest) (*ledgerv1.ListRequestsResponse, error) {
		if len(req.GetFilter().GetRequestId()) > 0 {
			return &ledgerv1.ListRequestsResponse{}, nil
		}
		return &ledgerv1.ListRequestsResponse{Requests: []*ledgerv1.RequestRecord{booked("", "")}, NextPageToken: "more"}, nil
	}
	ledger.reprice = func(*ledgerv1.RepriceRequestsRequest) (*ledgerv1.RepriceRequestsResponse, error) {
		return &ledgerv1.RepriceRequestsResponse{Corrected: 2}, nil
	}
	return &world{bundle: b, ledger: ledger}
}

// name is one that nothing has.
func (w *world) name(kind string) string {
	w.names++
	return fmt.Sprintf("%s-%d", kind, w.names)
}

// is is a request that needs nothing made.
func is(m proto.Message) func(*world) proto.Message { return func(*world) proto.Message { return m } }

var coveredMethods = map[string]map[string]cases{}

func covers(service string, methods map[string]cases) bool {
	if coveredMethods[service] == nil {
		coveredMethods[service] = map[string]cases{}
	}
	maps.Copy(coveredMethods[service], methods)
	return true
}

// protocols are the forms in which one can call.
var protocols = map[string][]connect.ClientOption{
	"connect": nil, "json": {connect.WithProtoJSON()}, "grpc": {connect.WithGRPC()},
}

// controlServices are all services of the API.
func controlServices() map[string]protoreflect.ServiceDescriptor {
	all := map[string]protoreflect.ServiceDescriptor{}
	protoregistry.GlobalFiles.RangeFilesByPackage("tollgate.control.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			all[string(s.Name())] = s
		}
		return true
	})
	return all
}

// Guarantee: every method answers what is right and refuses what is wrong, stale or about nothing with an error that says so,
// over every protocol alike, and what is refused changes nothing.
func TestMethods(t *testing.T) {
	t.Parallel()
	services := controlServices()
	for service, methods := range coveredMethods {
		for protocol, options := range protocols {
			t.Run(service+"/"+protocol, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				for _, name := range slices.Sorted(maps.Keys(methods)) {
					method := services[service].Methods().ByName(protoreflect.Name(name))
					if method == nil {
						t.Errorf("there is no method %s.%s", service, name)
						continue
					}
					tryMethod(t, w, method, methods[name], options)
				}
			})
		}
	}
}

func tryMethod(t *testing.T, w *world, method protoreflect.MethodDescriptor, c cases, options []connect.ClientOption) {
	t.Helper()
	at, as := string(method.Name()), token
	if c.as != nil {
		as = c.as(w)
	}
	refused := func(kind string, request func(*world) proto.Message, want failure) {
		t.Helper()
		if request == nil {
			return
		}
		m := request(w)
		before := w.revision()
		_, err := w.callAs(as, method, m, options...)
		got := failureOf(err)
		if got.Code != want.Code || want.Reason != "" && got.Reason != want.Reason {
			t.Errorf("%s, %s: %v %v", at, kind, err, got)
		}
		for _, v := range want.Violations {
			if !slices.Contains(got.Violations, v) {
				t.Errorf("%s, %s: violations %q, not %s", at, kind, got.Violations, v)
			}
		}
		rule, _ := proto.GetExtension(method.Options(), controlv1.E_Access).(*controlv1.MethodAccess)
		// Of a stream the audit keeps that somebody began it, before it is looked at.
		begun := method.IsStreamingServer() && rule.GetAudited()
		if after := w.revision(); after != before && !begun {
			t.Errorf("%s, %s: refused, but the configuration went from revision %d to %d", at, kind, before, after)
		}
	}
	for _, x := range c.wrong {
		code := x.code
		if code == 0 {
			code = connect.CodeInvalidArgument
		}
		want := failure{Code: code}
		if x.violation != "" {
			want.Violations = []string{x.violation}
		}
		refused("wrong in "+x.violation, x.request, want)
	}
	refused("stale", c.stale, failure{Code: connect.CodeAborted, Reason: "stale_etag"})
	refused("not found", c.notFound, failure{Code: connect.CodeNotFound, Reason: "not_found"})
	if c.right == nil {
		return // the test below says so
	}
	m := c.right(w)
	if method.Input().Fields().ByName("page_token") != nil {
		tryList(t, w, as, method, m, options)
	}
	call := w.callAs
	if writes(method) && !method.IsStreamingServer() {
		tryWithoutEffect(t, w, as, method, m, options)
		call = func(as string, method protoreflect.MethodDescriptor, m proto.Message, options ...connect.ClientOption) (proto.Message, error) {
			return tryOnce(t, w, as, method, m, options)
		}
	}
	res, err := call(as, method, m, options...)
	if err != nil {
		t.Errorf("%s, right: %v %v", at, err, failureOf(err))
		return
	}
	if c.check != nil {
		c.check(w, res)
	}
}

func (b *bundle) revision() (n int64) {
	b.t.Helper()
	if err := b.pool.QueryRow(b.t.Context(), `SELECT n FROM control.revision`).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

// ask makes a call that has to succeed, as whoever holds a credential.
func ask[T proto.Message](b *bundle, as, service, method string, req proto.Message) T {
	b.t.Helper()
	res, err := b.callAs(as, controlServices()[service].Methods().ByName(protoreflect.Name(method)), req)
	if err != nil {
		b.t.Fatalf("%s.%s: %v %v", service, method, err, failureOf(err))
	}
	return res.(T)
}

// callAs makes a call by nothing but the descriptor of its method, with a token or without any. Of a stream it takes the first
// message, or none where there is none.
func (b *bundle) callAs(token string, method protoreflect.MethodDescriptor, req proto.Message, options ...connect.ClientOption) (proto.Message, error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	options = append([]connect.ClientOption{
		connect.WithSchema(method),
		connect.WithResponseInitializer(func(spec connect.Spec, message any) error {
			if m, ok := message.(*dynamicpb.Message); ok {
				*m = *dynamicpb.NewMessage(spec.Schema.(protoreflect.MethodDescriptor).Output())
			}
			return nil
		}),
	}, options...)
	client := connect.NewClient[dynamicpb.Message, dynamicpb.Message](b.http, b.url+procedureOf(method), options...)
	raw, err := proto.Marshal(req)
	if err != nil {
		b.t.Fatal(err)
	}
	m := dynamicpb.NewMessage(method.Input())
	if err := proto.Unmarshal(raw, m); err != nil {
		b.t.Fatal(err)
	}
	ask := connect.NewRequest(m)
	if token != "" {
		ask.Header().Set("Authorization", "Bearer "+token)
	}
	if !method.IsStreamingServer() {
		res, err := client.CallUnary(ctx, ask)
		if err != nil {
			return nil, err
		}
		return b.concrete(res.Msg), nil
	}
	stream, err := client.CallServerStream(ctx, ask)
	if err != nil {
		return nil, err
	}
	defer func() {
		cancel()
		_ = stream.Close() // what is on its way when the first message has come is of no interest
	}()
	if stream.Receive() {
		return b.concrete(stream.Msg()), nil
	}
	return nil, stream.Err()
}

func procedureOf(method protoreflect.MethodDescriptor) string {
	return "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
}

// concrete is a message in the type that code works with.
func (b *bundle) concrete(m *dynamicpb.Message) proto.Message {
	b.t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(m.Descriptor().FullName())
	if err != nil {
		b.t.Fatal(err)
	}
	raw, err := proto.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	out := kind.New().Interface()
	if err := proto.Unmarshal(raw, out); err != nil {
		b.t.Fatal(err)
	}
	return out
}

// Guarantee: no method is without a case of each kind that applies to it, unless it says why.
func TestEveryMethodHasCases(t *testing.T) {
	t.Parallel()
	for name, service := range controlServices() {
		for i := range service.Methods().Len() {
			method := service.Methods().Get(i)
			c, ok := coveredMethods[name][string(method.Name())]
			if !ok || c.right == nil {
				t.Errorf("%s.%s has no right case", name, method.Name())
			}
			for kind, has := range map[string]bool{"wrong": len(c.wrong) > 0, "stale": c.stale != nil, "notFound": c.notFound != nil} {
				if applies := caseApplies(method, kind); applies && !has && c.without[kind] == "" {
					t.Errorf("%s.%s has no case %s", name, method.Name(), kind)
				}
			}
		}
	}
}

// caseApplies says whether a method can be expected to have a case.
func caseApplies(method protoreflect.MethodDescriptor, kind string) bool {
	in := method.Input().Fields()
	switch kind {
	case "wrong":
		return in.Len() > 0
	case "stale":
		return !strings.HasPrefix(string(method.Name()), "Create") && hasField(method.Input(), "etag")
	default: // it names an object: first, and it must not be empty
		if in.Len() == 0 || strings.HasPrefix(string(method.Name()), "Create") {
			return false
		}
		first := in.Get(0)
		rules, _ := proto.GetExtension(first.Options(), validate.E_Field).(*validate.FieldRules)
		return strings.HasPrefix(string(method.Name()), "Update") || rules.GetString().GetMinLen() > 0
	}
}

// hasField says whether a message, or one directly in it, has a field.
func hasField(m protoreflect.MessageDescriptor, name protoreflect.Name) bool {
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.Name() == name || f.Message() != nil && !f.IsList() && !f.IsMap() && f.Message().Fields().ByName(name) != nil {
			return true
		}
	}
	return false
}

func manyHeaders(n int) (all []*controlv1.Header) {
	for i := range n {
		all = append(all, &controlv1.Header{Name: fmt.Sprintf("x-%d", i), Value: "x"})
	}
	return all
}
