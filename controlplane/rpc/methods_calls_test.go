package rpc_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"tollgate/controlplane/filter"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

// What holds of every method alike is tried with the request that is right for it: a dry run and a call that has no time leave
// nothing, a call that is sent twice under its key is made once, and a list refuses filters, orders and pages that are none.

// acts are methods that do something outside of the database, and are therefore not tried without their effect.
var acts = []string{
	controlv1connect.AccountServiceSignInProcedure, controlv1connect.AccountServiceRedeemLinkProcedure, controlv1connect.AccountServiceSignOutProcedure,
	controlv1connect.AccountServiceChangePasswordProcedure, controlv1connect.AccountServiceEndSessionProcedure,
	controlv1connect.AccountServiceStartDeviceSignInProcedure, controlv1connect.AccountServicePollDeviceSignInProcedure,
	controlv1connect.AccountServiceDecideDeviceSignInProcedure,
	controlv1connect.AlertServiceTestAlertChannelProcedure,
	controlv1connect.EdgeServiceDrainNodeProcedure, controlv1connect.EdgeServiceResetBreakerProcedure, controlv1connect.EdgeServiceJoinProcedure,
	controlv1connect.EdgeServiceProbeTargetProcedure, controlv1connect.TryServiceCreateTicketProcedure, controlv1connect.UsageServiceRepriceRequestsProcedure,
}

// unnamed are methods of which nobody has to say who they are, so that no key of a call is anybody's; and the one after which
// its caller is nobody.
var unnamed = []string{
	controlv1connect.AccountServiceSignInProcedure, controlv1connect.AccountServiceGetLinkProcedure, controlv1connect.AccountServiceRedeemLinkProcedure,
	controlv1connect.AccountServiceStartDeviceSignInProcedure, controlv1connect.AccountServicePollDeviceSignInProcedure, controlv1connect.EdgeServiceJoinProcedure,
	controlv1connect.AccountServiceSignOutProcedure,
}

func writes(method protoreflect.MethodDescriptor) bool {
	options, _ := method.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// everything is all that is stored, but for answers that are kept and when somebody was last there.
func (w *world) everything() string {
	w.t.Helper()
	var sql string
	err := w.pool.QueryRow(w.t.Context(), `SELECT string_agg(format(
			'SELECT %L || coalesce(string_agg((to_jsonb(t) - ''last_use_time'' - ''last_used'')::text, E''\n'' ORDER BY t::text), '''') FROM control.%I t',
			table_name || E'\n', table_name), ' UNION ALL ')
		FROM information_schema.tables WHERE table_schema = 'control' AND table_name NOT IN ('idempotency')`).Scan(&sql)
	if err != nil {
		w.t.Fatal(err)
	}
	var text string
	if err := w.pool.QueryRow(w.t.Context(), `SELECT string_agg(x, E'\n') FROM (`+sql+`) AS all_of(x)`).Scan(&text); err != nil {
		w.t.Fatal(err)
	}
	return text
}

// impatient is a caller whose time is over before the server begins.
type impatient struct{}

func (impatient) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		req.Header().Set("Connect-Timeout-Ms", "0")
		req.Header().Set("Grpc-Timeout", "1n")
		return next(withoutDeadline{ctx}, req)
	}
}

func (impatient) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (impatient) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// withoutDeadline ends when its context does and says nothing of it before.
type withoutDeadline struct{ context.Context }

func (withoutDeadline) Deadline() (t time.Time, ok bool) { return t, false }

// tryWithoutEffect makes a call dry and out of time.
func tryWithoutEffect(t *testing.T, w *world, as string, method protoreflect.MethodDescriptor, m proto.Message, options []connect.ClientOption) {
	t.Helper()
	at, before := string(method.Name()), w.everything()
	_, err := w.callAs(as, method, m, append(slices.Clone(options), connect.WithInterceptors(withHeader{"x-tollgate-dry-run", "true"}))...)
	if acting := slices.Contains(acts, procedureOf(method)); acting && connect.CodeOf(err) != connect.CodeFailedPrecondition || !acting && err != nil {
		t.Errorf("%s, dry: %v %v", at, err, failureOf(err))
	}
	if after := w.everything(); after != before {
		t.Errorf("%s, dry, left something:\n%s", at, newLines(before, after))
		before = after
	}
	if slices.Contains(acts, procedureOf(method)) {
		return
	}
	_, err = w.callAs(as, method, m, append(slices.Clone(options), connect.WithInterceptors(impatient{}))...)
	if connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("%s, without time: %v", at, err)
	}
	if after := w.everything(); after != before {
		t.Errorf("%s, without time, left something:\n%s", at, newLines(before, after))
	}
}

// tryOnce makes a call under a key, and again.
func tryOnce(t *testing.T, w *world, as string, method protoreflect.MethodDescriptor, m proto.Message, options []connect.ClientOption) (proto.Message, error) {
	t.Helper()
	options = append(slices.Clone(options), connect.WithInterceptors(withHeader{"Idempotency-Key", w.name("call")}))
	first, err := w.callAs(as, method, m, options...)
	if err != nil || slices.Contains(unnamed, procedureOf(method)) {
		return first, err
	}
	before := w.everything()
	again, err := w.callAs(as, method, m, options...)
	switch {
	case err != nil:
		t.Errorf("%s, again: %v %v", method.Name(), err, failureOf(err))
	case !proto.Equal(first, again):
		t.Errorf("%s, again: %v, after %v", method.Name(), again, first)
	}
	if after := w.everything(); after != before {
		t.Errorf("%s, again, changed something:\n%s", method.Name(), newLines(before, after))
	}
	return first, nil
}

// defaultOrder is the order in which a list comes.
func defaultOrder(w *world, method string) string {
	w.t.Helper()
	for _, l := range filter.Lists() {
		if _, name, _ := strings.Cut(l.Method, "."); name == method {
			return l.Orders[0]
		}
	}
	w.t.Errorf("the reference of filters has no %s", method)
	return "name"
}

func newLines(before, after string) string {
	var out strings.Builder
	old := strings.Split(before, "\n")
	for line := range strings.SplitSeq(after, "\n") {
		if !slices.Contains(old, line) {
			fmt.Fprintln(&out, line)
		}
	}
	return out.String()
}

// tryList gives a list what it has to refuse.
func tryList(t *testing.T, w *world, as string, method protoreflect.MethodDescriptor, right proto.Message, options []connect.ClientOption) {
	t.Helper()
	fields := method.Input().Fields()
	call := func(edit map[protoreflect.Name]string) (proto.Message, error) {
		m := proto.Clone(right)
		for name, text := range edit {
			f := fields.ByName(name)
			if f.Kind() == protoreflect.Int32Kind {
				m.ProtoReflect().Set(f, protoreflect.ValueOfInt32(1))
			} else {
				m.ProtoReflect().Set(f, protoreflect.ValueOfString(text))
			}
		}
		return w.callAs(as, method, m, options...)
	}
	refused := func(edit map[protoreflect.Name]string, want string) {
		t.Helper()
		if _, err := call(edit); connect.CodeOf(err) != connect.CodeInvalidArgument || !slices.Contains(failureOf(err).Violations, want) {
			t.Errorf("%s with %v: %v %v, want %s", method.Name(), edit, err, failureOf(err).Violations, want)
		}
	}
	refused(map[protoreflect.Name]string{"page_token": "x"}, "page_token:invalid")
	if f := fields.ByName("filter"); f == nil || f.Kind() != protoreflect.StringKind {
		return
	}
	refused(map[protoreflect.Name]string{"filter": "colour:red"}, "filter:filter_field")
	refused(map[protoreflect.Name]string{"filter": `"open`}, "filter:invalid")
	if fields.ByName("order_by") != nil {
		refused(map[protoreflect.Name]string{"order_by": "colour"}, "order_by:order_by_field")
	}
	next := map[protoreflect.Name]string{"page_size": "1", "filter": ""}
	if fields.ByName("order_by") != nil {
		next["order_by"] = ""
	}
	first, err := call(next)
	if err != nil {
		t.Errorf("%s, one: %v", method.Name(), err)
		return
	}
	token := first.ProtoReflect().Get(method.Output().Fields().ByName("next_page_token")).String()
	if token == "" {
		t.Errorf("%s has one page only: its case has to make two objects", method.Name())
		return
	}
	next["page_token"] = token
	if _, err := call(next); err != nil {
		t.Errorf("%s, second page: %v", method.Name(), err)
	}
	next["filter"] = "other"
	refused(next, "page_token:invalid")
	if fields.ByName("order_by") != nil {
		next["filter"], next["order_by"] = "", "-"+defaultOrder(w, string(method.Name()))
		refused(next, "page_token:invalid")
	}
}
