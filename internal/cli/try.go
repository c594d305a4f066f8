package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/fault"
)

// tryTimeout is how long an answer may take in all: as long as a gateway waits for one to begin.
const tryTimeout = 10 * time.Minute

// maxErrorBody is how much of an error's body is read to find out what it says.
const maxErrorBody = 64 << 10

// The gateway's headers about a request.
const (
	headerRequestID = "X-Tollgate-Request-Id"
	headerCost      = "X-Tollgate-Cost"
	headerRemaining = "X-Tollgate-Budget-Remaining"
	headerEndpoint  = "X-Tollgate-Endpoint"
	headerModel     = "X-Tollgate-Model"
	headerDropped   = "X-Tollgate-Dropped"
	headerError     = "X-Tollgate-Error"
)

type tryFlags struct {
	data, key, gateway string
	as, edge           string
	dryRun             bool
	headers            []string
}

// through says whether the control plane is to send the request.
func (f tryFlags) through() bool { return f.as != "" || f.edge != "" || f.dryRun }

func (f tryFlags) methodAndPath(cmd *cobra.Command, args []string) (method, path string) {
	method, path = http.MethodGet, args[len(args)-1]
	switch {
	case len(args) == 2:
		method = strings.ToUpper(args[0])
	case cmd.Flags().Changed("data"):
		method = http.MethodPost
	}
	return method, path
}

// header are the headers of the request, with Host among them.
func (f tryFlags) header(cmd *cobra.Command, body []byte) (http.Header, error) {
	out := http.Header{}
	if cmd.Flags().Changed("data") && json.Valid(body) {
		out.Set("Content-Type", "application/json")
	}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, usage(cmd, "The header %q has no name. Write it as 'name: value'.", h)
		}
		out.Set(name, strings.TrimSpace(value))
	}
	return out, nil
}

func (a *app) tryCommand() *cobra.Command {
	var f tryFlags
	cmd := &cobra.Command{
		Use:   "try [METHOD] PATH",
		Short: "Send one request through the gateway; show time, cost and what is left",
		Long: `Send one request through the gateway. The body of the answer goes to stdout as it is; how long the
gateway and the target took, what it cost and what is left of the budget go to stderr.

The key is --key, TOLLGATE_KEY, or that of a ` + "`tollgate dev`" + ` in this folder or above. With --as the control plane sends the request as
the key of that name, of which nobody needs the secret: it is charged to the key as any other. --dry-run shows what would be done with it
instead.`,
		Example: `  tollgate try POST /bria/v1/text-to-image/base/2.3 -d '{"prompt":"a book"}'
  tollgate try /v1/models -H 'accept: application/json'
  tollgate try POST /bria/v1/text-to-image/base/2.3 -d @body.json --as ci-bot --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return exactly("PATH")(cmd, args)
			case 1:
				return nil
			default:
				return exactly("METHOD", "PATH")(cmd, args)
			}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.through() {
				return a.tryAs(cmd, f, args)
			}
			req, err := a.tryRequest(cmd, f, args)
			if err != nil {
				return err
			}
			timeout := tryTimeout
			if cmd.Flags().Changed("timeout") {
				timeout = a.timeout
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return a.try(req.WithContext(ctx), timeout)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.data, "data", "d", "", "body: text, @FILE, or - for stdin")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "'name: value'; may be repeated")
	flags.StringVar(&f.key, "key", "", "secret of the key to present (TOLLGATE_KEY)")
	flags.StringVar(&f.as, "as", "", "name or id of the key that pays; the control plane sends the request through an edge")
	flags.StringVar(&f.edge, "edge", "", "name of the edge that serves it; the control plane sends it")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show what an edge would do with it, and send and charge nothing")
	flags.StringVar(&f.gateway, "gateway", "", "URL of the gateway (TOLLGATE_GATEWAY)")
	return cmd
}

func (a *app) tryRequest(cmd *cobra.Command, f tryFlags, args []string) (*http.Request, error) {
	note, err := a.note()
	if err != nil {
		return nil, err
	}
	gateway, err := a.gateway(f.gateway)
	if err != nil {
		return nil, err
	}
	key := first(f.key, a.Getenv("TOLLGATE_KEY"))
	if key == "" && sameURL(gateway, note.Gateway) {
		key = note.Key
	}
	method, path := f.methodAndPath(cmd, args)
	if !strings.HasPrefix(path, "/") {
		return nil, usage(cmd, "The path %q does not begin with a slash.", path)
	}
	body, err := a.tryBody(f.data)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(cmd.Context(), method, strings.TrimRight(gateway, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, usage(cmd, "%s", err)
	}
	if req.URL.Host == "" || (req.URL.Scheme != "http" && req.URL.Scheme != "https") {
		return nil, usage(cmd, "The gateway %q is no http URL, such as %s.", gateway, defaultGateway)
	}
	if req.Header, err = f.header(cmd, body); err != nil {
		return nil, err
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	req.Header.Set("User-Agent", first(req.Header.Get("User-Agent"), userAgent()))
	if key != "" && req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return req, nil
}

func (a *app) tryBody(data string) ([]byte, error) {
	var raw []byte
	var err error
	switch {
	case data == "-" || data == "@-":
		raw, err = io.ReadAll(a.Stdin)
	case strings.HasPrefix(data, "@"):
		raw, err = os.ReadFile(a.path(data[1:]))
	default:
		return []byte(data), nil
	}
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "The body cannot be read: %v.", err).WithHint("Name a file with -d @FILE, or pipe the body and use -d -.")
	}
	return raw, nil
}

// try sends the request, copies the body to stdout and says on stderr how it went.
func (a *app) try(req *http.Request, timeout time.Duration) error {
	shared, err := a.client()
	if err != nil {
		return err
	}
	client := *shared
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	gateway := req.URL.Scheme + "://" + req.URL.Host

	start := time.Now()
	res, err := client.Do(req)
	if err != nil {
		return tryFailure(err, gateway, timeout)
	}
	defer res.Body.Close()
	var seen head
	out := a.Stdout
	if res.StatusCode >= http.StatusBadRequest {
		out = io.MultiWriter(a.Stdout, &seen)
	}
	written, err := io.Copy(out, res.Body)
	total := time.Since(start)
	if err != nil {
		return tryFailure(fmt.Errorf("the answer broke off after %d bytes: %w", written, err), gateway, timeout)
	}
	if a.StdoutTerminal && a.StderrTerminal {
		fmt.Fprintln(a.Stderr) // the body need not end with one
	}
	a.trySummary(res, total)
	return tryOutcome(res, seen.Bytes())
}

// head keeps the first bytes of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), maxErrorBody-h.Len())])
	return len(p), nil
}

func (a *app) trySummary(res *http.Response, total time.Duration) {
	get := func(name string) string { return first(res.Trailer.Get(name), res.Header.Get(name)) }
	gw, up := timing(res.Header, "gw"), timing(res.Header, "up")
	cost, left := dollarText(get(headerCost)), dollarText(get(headerRemaining))
	if a.format() == formatJSON {
		out := &object{}
		out.set("status", res.StatusCode)
		out.set("totalMs", milliseconds(total))
		for _, p := range [][2]string{
			{"gatewayMs", gw},
			{"upstreamMs", up},
			{"cost", get(headerCost)},
			{"budgetRemaining", get(headerRemaining)},
			{"endpoint", get(headerEndpoint)},
			{"model", get(headerModel)},
			{"dropped", get(headerDropped)},
			{"requestId", get(headerRequestID)},
		} {
			if p[1] != "" {
				out.set(p[0], p[1])
			}
		}
		if raw, err := json.Marshal(out); err == nil && !a.quiet {
			fmt.Fprintln(a.Stderr, string(raw))
		}
		return
	}
	split := ""
	if gw != "" {
		split = "   gateway " + gw + " ms │ upstream " + first(up, "not asked")
		if up != "" {
			split += " ms"
		}
	}
	a.say("%s  total %s ms%s", res.Status, milliseconds(total), split)
	if left != "" {
		left = "   budget left " + left
	}
	if id := get(headerRequestID); cost == "" && id != "" {
		cost = "in the books: " + a.Program + " request get " + id
	}
	a.say("cost %s%s", first(cost, "unknown"), left)
	a.say("endpoint %s   request %s", first(get(headerEndpoint), "-"), first(get(headerRequestID), "-"))
	if model := get(headerModel); model != "" {
		dropped := get(headerDropped)
		if dropped != "" {
			dropped = "   without " + dropped
		}
		a.say("model %s%s", model, dropped)
	}
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64)
}

// timing finds one duration in Server-Timing ("gw;dur=0.8, up;dur=1412"), as it is written there.
func timing(h http.Header, name string) string {
	for _, line := range h.Values("Server-Timing") {
		for metric := range strings.SplitSeq(line, ",") {
			parts := strings.Split(metric, ";")
			if strings.TrimSpace(parts[0]) != name {
				continue
			}
			for _, p := range parts[1:] {
				if value, ok := strings.CutPrefix(strings.TrimSpace(p), "dur="); ok {
					return value
				}
			}
		}
	}
	return ""
}

func dollarText(s string) string {
	if s == "" || strings.Trim(s, "0123456789.-") != "" {
		return s
	}
	if rest, negative := strings.CutPrefix(s, "-"); negative {
		return "-$" + rest
	}
	return "$" + s
}

// tryOutcome is nil for an answer that is no error. An error is the gateway's own if its body names a
// code of the catalogue and the id that the gateway gave to this request: a target is not told that
// id, and headers of the gateway's names do not pass from it. So a vendor that answers 402 or 429,
// even in the same form, is not taken for a budget of Tollgate's. Where models are served an error is in the caller's language,
// and its code in a header.
func tryOutcome(res *http.Response, body []byte) error {
	if res.StatusCode < http.StatusBadRequest {
		return nil
	}
	id := res.Header.Get(headerRequestID)
	f := &failure{exit: ExitFailed, requestID: id}
	var parsed struct {
		Error struct {
			Code      fault.Code `json:"code"`
			Message   string     `json:"message"`
			Hint      string     `json:"hint"`
			RequestID string     `json:"request_id"`
		} `json:"error"`
	}
	readable := json.Unmarshal(body, &parsed) == nil
	if code := fault.Code(res.Header.Get(headerError)); id != "" && code != "" {
		if kind, _, hint, ok := fault.Describe(code); ok {
			text, _ := strings.CutSuffix(parsed.Error.Message, " "+hint)
			f.exit, f.code, f.message, f.hint = exitOf(kind), code, sentence(first(text, string(code))), hint
			return f
		}
	}
	if readable && id != "" && parsed.Error.RequestID == id {
		if kind, _, hint, ok := fault.Describe(parsed.Error.Code); ok {
			f.exit, f.code, f.message = exitOf(kind), parsed.Error.Code, sentence(parsed.Error.Message)
			f.hint = first(parsed.Error.Hint, hint)
			return f
		}
	}
	endpoint := res.Header.Get(headerEndpoint)
	switch {
	case id == "":
		f.message = fmt.Sprintf("%s answered %s without the headers of a Tollgate gateway.", res.Request.URL.Host, res.Status)
		f.hint = "Check the address: something else listens there, or stands in front of the gateway and answers itself."
		if res.StatusCode >= http.StatusBadGateway && res.StatusCode <= http.StatusGatewayTimeout {
			f.exit = ExitUnreachable
		}
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		f.message = fmt.Sprintf("The target answered %s; Tollgate let the request through.", res.Status)
		f.hint = fmt.Sprintf("Check the credential that the endpoint sends: tollgate endpoint get %s", first(endpoint, "NAME"))
	default:
		f.message = fmt.Sprintf("The target answered %s; Tollgate let the request through.", res.Status)
	}
	return f
}

// tryFailure says why there is no whole answer.
func tryFailure(err error, gateway string, timeout time.Duration) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{
			exit: ExitUnreachable, code: fault.DeadlineExceeded, message: fmt.Sprintf("%s did not finish its answer within %s.", gateway, timeout),
			hint: "Allow more with --timeout.",
		}
	}
	reason, ok := unreachable(err)
	if !ok {
		reason = err.Error()
	}
	return &failure{
		exit: ExitUnreachable, code: fault.UnavailableErr, message: fmt.Sprintf("No answer from the gateway at %s (%s).", gateway, reason),
		hint: "Start one with `tollgate dev`, or name another with --gateway or TOLLGATE_GATEWAY.",
	}
}
