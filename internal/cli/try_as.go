package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// tryAs has the control plane send the request through an edge as a key of which only the name is known here.
func (a *app) tryAs(cmd *cobra.Command, f tryFlags, args []string) error {
	req, err := a.invokeRequest(cmd, f, args)
	if err != nil {
		return err
	}
	allowed := time.Minute
	if cmd.Flags().Changed("timeout") {
		allowed = a.timeout
	}
	req.Timeout = durationpb.New(allowed)
	a.timeout = allowed + 30*time.Second // the control plane gives up before
	return a.with(cmd, func(ctx context.Context, c clients) error {
		stream, err := c.tries.Invoke(ctx, req)
		if err != nil {
			return err
		}
		defer func() { _ = stream.Close() }() // what counts was received
		t := &tryStream{app: a}
		for stream.Receive() {
			if err := t.take(stream.Msg()); err != nil {
				return err
			}
		}
		if err := stream.Err(); err != nil {
			return err
		}
		return t.end(f.dryRun)
	})
}

func (a *app) invokeRequest(cmd *cobra.Command, f tryFlags, args []string) (*controlv1.InvokeRequest, error) {
	if f.key != "" || f.gateway != "" {
		return nil, usage(cmd, "--key and --gateway belong to a request that this command sends itself; with --as, --edge and --dry-run the control plane sends it.")
	}
	method, path := f.methodAndPath(cmd, args)
	if !strings.HasPrefix(path, "/") {
		return nil, usage(cmd, "The path %q does not begin with a slash.", path)
	}
	body, err := a.tryBody(f.data)
	if err != nil {
		return nil, err
	}
	req := &controlv1.InvokeRequest{Method: method, Path: path, Key: f.as, Body: body, Node: f.edge, DryRun: f.dryRun}
	headers, err := f.header(cmd, body)
	if err != nil {
		return nil, err
	}
	for name, values := range headers {
		for _, v := range values {
			req.Headers = append(req.Headers, &controlv1.ExplainHeader{Name: name, Value: v})
		}
	}
	return req, nil
}

// tryStream shows what happens to a request that the control plane sends.
type tryStream struct {
	*app
	node        string
	answered    *controlv1.InvokeAnswered
	ended       *controlv1.InvokeEnded
	explanation *controlv1.Explanation
	seen        head
}

func (t *tryStream) take(m *controlv1.InvokeResponse) error {
	switch e := m.GetEvent().(type) {
	case *controlv1.InvokeResponse_Started:
		t.node = e.Started.GetNode()
	case *controlv1.InvokeResponse_Answered:
		t.answered = e.Answered
	case *controlv1.InvokeResponse_Data:
		if t.answered.GetStatus() >= http.StatusBadRequest {
			_, _ = t.seen.Write(e.Data)
		}
		_, err := t.Stdout.Write(e.Data)
		return err
	case *controlv1.InvokeResponse_Ended:
		t.ended = e.Ended
	case *controlv1.InvokeResponse_Explanation:
		t.explanation = e.Explanation
	}
	return nil
}

// end says how it went.
func (t *tryStream) end(dryRun bool) error {
	if dryRun {
		return t.explained(t.explanation)
	}
	if t.ended == nil {
		return io.ErrUnexpectedEOF
	}
	if t.answered == nil {
		return &failure{exit: ExitUnreachable, code: fault.UnavailableErr, message: sentence(t.ended.GetError()), hint: t.Program + " edge list"}
	}
	if t.StdoutTerminal && t.StderrTerminal {
		fmt.Fprintln(t.Stderr) // the body need not end with one
	}
	res := t.response() //nolint:bodyclose // it has none: it was written as it came
	t.trySummary(res, t.ended.GetTotal().AsDuration())
	if t.format() != formatJSON {
		at := ""
		if rev := t.ended.GetSeen().GetRevision(); rev != 0 {
			at = fmt.Sprintf(" rev %d", rev)
		}
		t.say("edge %s%s", t.node, at)
	}
	if t.ended.GetCut() {
		t.say("%s the answer has %d bytes, and only the first were shown", t.paint(yellow, "!"), t.ended.GetBytes())
	}
	if text := t.ended.GetError(); text != "" {
		return &failure{exit: ExitUnreachable, message: sentence(text), requestID: t.answered.GetRequestId()}
	}
	return tryOutcome(res, t.seen.Bytes())
}

// response is the answer as the command would have got it from the gateway. What the edge knew only at the end comes from its own
// account of the request.
func (t *tryStream) response() *http.Response {
	status := int(t.answered.GetStatus())
	res := &http.Response{
		StatusCode: status, Status: strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status))),
		Header: http.Header{}, Trailer: http.Header{}, Request: &http.Request{URL: &url.URL{Host: t.node}},
	}
	for _, h := range t.answered.GetHeaders() {
		res.Header.Add(h.GetName(), h.GetValue())
	}
	if cost := t.ended.GetSeen().GetCost(); cost != nil && res.Header.Get(headerCost) == "" {
		res.Trailer.Set(headerCost, strings.TrimPrefix(dollars(cost), "$"))
	}
	return res
}

// explained shows what an edge would do. A request that would be refused ends as one that was.
func (a *app) explained(x *controlv1.Explanation) error {
	if x == nil {
		return errors.New("no edge said what it would do")
	}
	if err := a.print(explanation(x)); err != nil {
		return err
	}
	if ref := x.GetRefusal(); ref != nil && !x.GetAdmitted() {
		f := &failure{exit: ExitFailed, code: fault.Code(ref.GetCode()), message: sentence(ref.GetMessage()), hint: ref.GetHint()}
		if kind, _, _, ok := fault.Describe(f.code); ok {
			f.exit = exitOf(kind)
		}
		return f
	}
	return nil
}
