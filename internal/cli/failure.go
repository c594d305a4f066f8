package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"tollgate/internal/cli/apply"
	"tollgate/internal/fault"
)

// failure is an error as it is shown.
type failure struct {
	exit       int
	code       fault.Code // empty for what is no error of the catalogue
	message    string
	hint       string
	requestID  string
	violations []fault.Violation
	typed      bool // a mistake in the command line, which needs no page of its own
}

func (f *failure) Error() string { return f.message }

// usage is a mistake in the command line.
func usage(cmd *cobra.Command, format string, args ...any) error {
	return &failure{
		exit: ExitUsage, code: fault.InvalidArgument, message: sentence(fmt.Sprintf(format, args...)),
		hint: cmd.CommandPath() + " --help", typed: true,
	}
}

// fail shows an error and answers with its exit code.
func (a *app) fail(ctx context.Context, err error) int {
	f := a.describe(ctx, err)
	if form := a.format(); form == formatJSON || form == formatNDJSON {
		a.failJSON(f)
		return f.exit
	}
	fmt.Fprintf(a.Stderr, "%s %s\n", a.mark(false), f.message)
	switch {
	case f.typed:
	case f.code != "" && f.requestID != "":
		fmt.Fprintf(a.Stderr, "  code     %-24s  request  %s\n", f.code, f.requestID)
	case f.code != "":
		fmt.Fprintf(a.Stderr, "  code     %s\n", f.code)
	case f.requestID != "":
		fmt.Fprintf(a.Stderr, "  request  %s\n", f.requestID)
	}
	for _, v := range f.violations {
		field := v.Field
		if line := a.document.line(field); line != "" {
			field += ", " + line
		}
		if strings.HasSuffix(f.message, sentence(v.Reason)) || strings.HasSuffix(f.message, v.Reason) {
			fmt.Fprintf(a.Stderr, "  field    %s\n", field)
			continue
		}
		fmt.Fprintf(a.Stderr, "  field    %s: %s\n", field, v.Reason)
	}
	if f.hint != "" {
		fmt.Fprintf(a.Stderr, "  fix      %s\n", f.hint)
	}
	if _, _, _, ok := fault.Describe(f.code); ok && !f.typed {
		fmt.Fprintf(a.Stderr, "  docs     tollgate help errors %s\n", f.code)
	}
	return f.exit
}

// failJSON writes the form that the gateway answers with.
func (a *app) failJSON(f *failure) {
	type violation struct {
		Field  string `json:"field"`
		Code   string `json:"code,omitempty"`
		Reason string `json:"reason"`
		At     string `json:"at,omitempty"`
	}
	var out struct {
		Error struct {
			Code       fault.Code  `json:"code,omitempty"`
			Message    string      `json:"message"`
			Hint       string      `json:"hint,omitempty"`
			RequestID  string      `json:"request_id,omitempty"`
			Violations []violation `json:"violations,omitempty"`
			Exit       int         `json:"exit"`
		} `json:"error"`
	}
	out.Error.Code, out.Error.Message, out.Error.Hint, out.Error.RequestID = f.code, f.message, f.hint, f.requestID
	out.Error.Exit = f.exit
	for _, v := range f.violations {
		out.Error.Violations = append(out.Error.Violations, violation{v.Field, v.Code, v.Reason, a.document.line(v.Field)})
	}
	enc := json.NewEncoder(a.Stderr)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(out) // a writer that fails here has nowhere else to be told
}

// describe finds out what an error means.
func (a *app) describe(ctx context.Context, err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if errors.Is(ctx.Err(), context.Canceled) && (errors.Is(err, context.Canceled) || connect.CodeOf(err) == connect.CodeCanceled) {
		return &failure{exit: ExitInterrupted, message: "Interrupted."}
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return &failure{exit: exitOf(e.Kind()), code: e.Code, message: e.Message, hint: e.Hint, violations: e.Violations}
	}
	if e, ok := errors.AsType[*connect.Error](err); ok {
		f := a.describeRPC(e)
		if at, ok := errors.AsType[*apply.Error](err); ok {
			f.message = sentence(fmt.Sprintf("%s %s: %s", at.Kind, at.Name, f.message))
		}
		return f
	}
	return &failure{exit: ExitFailed, message: sentence(err.Error())}
}

// describeRPC reads what a control plane answered, or why it did not.
func (a *app) describeRPC(err *connect.Error) *failure {
	server := a.serverURL()
	if !connect.IsWireError(err) {
		if err.Code() == connect.CodeDeadlineExceeded {
			return &failure{
				exit: ExitUnreachable, code: fault.DeadlineExceeded,
				message: fmt.Sprintf("%s did not answer within %s.", server, a.timeout), hint: "Allow more with --timeout.",
			}
		}
		if reason, ok := unreachable(err); ok {
			return &failure{
				exit: ExitUnreachable, code: fault.UnavailableErr, message: fmt.Sprintf("No Tollgate at %s (%s).", server, reason),
				hint: "Start one with `tollgate dev`, or name another with --server or TOLLGATE_SERVER.",
			}
		}
		return &failure{
			exit:    ExitUnreachable,
			message: fmt.Sprintf("%s answers, but not as a Tollgate control plane does (%s).", server, strings.TrimSuffix(err.Message(), ".")),
			hint:    "Check the address: it is the control plane's, not the gateway's.",
		}
	}
	// Another server's JSON can be taken for an error that says nothing: the gateway's, above all.
	if err.Message() == "" && len(err.Details()) == 0 {
		return &failure{
			exit: ExitUnreachable, message: fmt.Sprintf("%s answers, but not as a Tollgate control plane does.", server),
			hint: "Check the address: it is the control plane's, not the gateway's.",
		}
	}
	code := codeOf(err.Code())
	f := &failure{code: code, message: sentence(err.Message())}
	for _, d := range err.Details() {
		value, derr := d.Value()
		if derr != nil {
			continue
		}
		switch v := value.(type) {
		case *errdetails.ErrorInfo:
			if _, _, _, ok := fault.Describe(fault.Code(strings.ToLower(v.GetReason()))); ok {
				f.code = fault.Code(strings.ToLower(v.GetReason()))
			}
			f.hint, f.requestID = v.GetMetadata()["hint"], v.GetMetadata()["request_id"]
		case *errdetails.BadRequest:
			for _, w := range v.GetFieldViolations() {
				// The field has a place of its own here.
				reason := w.GetDescription()
				if part, rest, ok := strings.Cut(reason, ": "); ok && strings.HasSuffix("."+w.GetField(), "."+part) {
					reason = rest
				}
				f.violations = append(f.violations, fault.Violation{Field: w.GetField(), Code: w.GetReason(), Reason: reason})
				if err.Message() == w.GetDescription() {
					f.message = sentence(reason)
					if reason != w.GetDescription() { // then it has no subject but the field, written as it is
						between := " "
						if !strings.HasPrefix(reason, "must ") && !strings.HasPrefix(reason, "names ") {
							between = ": "
						}
						f.message = w.GetField() + between + strings.TrimSuffix(reason, ".") + "."
					}
				}
			}
		}
	}
	kind, _, hint, _ := fault.Describe(f.code)
	f.exit = exitOf(kind)
	if f.hint == "" {
		f.hint = hint
	}
	return f
}

// unreachable says in few words why a server could not be reached, if that is what happened.
func unreachable(err error) (reason string, ok bool) {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "connection refused", true
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "no such host: " + dns.Name, true
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		if e.Timeout() {
			return "no answer in time", true
		}
		return e.Err.Error(), true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error(), true
	}
	return "", false
}

// codeOf is the catalogue's code for an answer that names none.
func codeOf(code connect.Code) fault.Code {
	switch code {
	case connect.CodeInvalidArgument, connect.CodeOutOfRange:
		return fault.InvalidArgument
	case connect.CodeDeadlineExceeded:
		return fault.DeadlineExceeded
	case connect.CodeNotFound:
		return fault.ObjectNotFound
	case connect.CodeAlreadyExists:
		return fault.AlreadyExists
	case connect.CodePermissionDenied:
		return fault.PermissionDenied
	case connect.CodeResourceExhausted, connect.CodeUnavailable:
		return fault.UnavailableErr
	case connect.CodeFailedPrecondition:
		return fault.FailedPrecondition
	case connect.CodeAborted:
		return fault.StaleETag
	case connect.CodeUnauthenticated:
		return fault.UnauthenticatedErr
	default:
		return fault.InternalError
	}
}

// sentence begins with a capital and ends with a full stop, unless it does otherwise on purpose.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return "It failed without a reason."
	}
	if c := s[0]; c >= 'a' && c <= 'z' {
		s = string(c-'a'+'A') + s[1:]
	}
	if !strings.ContainsAny(s[len(s)-1:], ".?!") {
		s += "."
	}
	return s
}
