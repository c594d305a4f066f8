package cli

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// forwardFlags say what becomes of a caller's request, and who may send one.
type forwardFlags struct {
	headers, defaults, strips, removeHeaders []string
	queries, setQueries, stripQueries        []string
	removeQueries                            []string
	host                                     string
	passHeaders, public, keysOnly            bool
	rateLimit, rateBurst                     int64
	connect, idle, total                     time.Duration
}

func (f *forwardFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.headers, "header", nil, "'name: value' sent to the target in place of the caller's, with ${secret:NAME} or ${env:NAME} in it; may be repeated")
	flags.StringArrayVar(&f.defaults, "default-header", nil, "'name: value' sent to the target where the caller sends none; may be repeated")
	flags.StringArrayVar(&f.strips, "strip-header", nil, "name of a header that is left out of callers' requests; may be repeated")
	flags.StringArrayVar(&f.queries, "query", nil, "'name=value' added to the query where the caller has none; may be repeated")
	flags.StringArrayVar(&f.setQueries, "set-query", nil, "'name=value' in the query in place of the caller's; may be repeated")
	flags.StringArrayVar(&f.stripQueries, "strip-query", nil, "name of a query parameter that is left out; may be repeated")
	flags.StringVar(&f.host, "host-header", "", "which Host the target gets: target (its own; the default), caller, or a name")
	flags.BoolVar(&f.passHeaders, "pass-headers", false, "send 'x-pass-NAME: value' of callers as 'NAME: value', whatever --forward says")
	flags.BoolVar(&f.public, "public", false, "let everybody call it without a key, at your cost; needs --rate-limit")
	flags.BoolVar(&f.keysOnly, "keys-only", false, "callers need a key (the default)")
	flags.Int64Var(&f.rateLimit, "rate-limit", 0, "requests per minute of all callers of a public endpoint")
	flags.Int64Var(&f.rateBurst, "rate-burst", 0, "most of them at once after a pause")
	flags.DurationVar(&f.connect, "connect-timeout", 0, "how long a connection may take, and TLS again (10s if not given)")
	flags.DurationVar(&f.idle, "idle-timeout", 0, "longest silence in the middle of an answer; 0 for the edge's own limit")
	flags.DurationVar(&f.total, "total-timeout", 0, "time for all attempts until the end of the answer; 0 for no limit")
}

// registerRemoval adds the flags that only change what is there.
func (f *forwardFlags) registerRemoval(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.removeHeaders, "remove-header", nil, "header about which the endpoint says nothing any more; may be repeated")
	cmd.Flags().StringArrayVar(&f.removeQueries, "remove-query", nil, "query parameter about which it says nothing any more; may be repeated")
}

func (f *forwardFlags) change(cmd *cobra.Command, e *controlv1.Endpoint) error {
	given := cmd.Flags().Changed
	if err := exclusive(cmd, "public", "keys-only"); err != nil {
		return err
	}
	if given("host-header") {
		switch f.host {
		case "", "target":
			e.HostHeader = nil
		case "caller":
			e.HostHeader = &controlv1.HostHeader{Kind: &controlv1.HostHeader_Caller_{Caller: &controlv1.HostHeader_Caller{}}}
		default:
			e.HostHeader = &controlv1.HostHeader{Kind: &controlv1.HostHeader_Text{Text: f.host}}
		}
	}
	if given("pass-headers") {
		e.PassHeaders = f.passHeaders
	}
	if err := f.changeAccess(cmd, e); err != nil {
		return err
	}
	f.changeTimeouts(cmd, e)
	if err := f.changeQuery(cmd, e); err != nil {
		return err
	}
	return f.changeHeaders(cmd, e)
}

// changeAccess wants the rate limit in the same breath: what is open to everybody costs its owner.
func (f *forwardFlags) changeAccess(cmd *cobra.Command, e *controlv1.Endpoint) error {
	given := cmd.Flags().Changed
	public := e.GetAccess().GetPublic()
	switch {
	case f.keysOnly:
		e.Access = &controlv1.Access{Kind: &controlv1.Access_Keys_{Keys: &controlv1.Access_Keys{}}}
		return nil
	case f.public && public == nil && !given("rate-limit"):
		return usage(cmd, "--public needs --rate-limit: anyone who can reach the gateway can call it, and you pay.")
	case !f.public && public == nil && (given("rate-limit") || given("rate-burst")):
		return usage(cmd, "--rate-limit is for --public. For callers with a key, make a limit with `tollgate limit create`.")
	case !f.public && !given("rate-limit") && !given("rate-burst"):
		return nil
	}
	next := &controlv1.Access_Public{RequestsPerMinute: public.GetRequestsPerMinute(), Burst: public.GetBurst()}
	if given("rate-limit") {
		if next.RequestsPerMinute = f.rateLimit; f.rateLimit <= 0 {
			return usage(cmd, "--rate-limit is at least 1.")
		}
	}
	if given("rate-burst") {
		next.Burst = f.rateBurst
	}
	e.Access = &controlv1.Access{Kind: &controlv1.Access_Public_{Public: next}}
	return nil
}

func (f *forwardFlags) changeTimeouts(cmd *cobra.Command, e *controlv1.Endpoint) {
	t := e.GetTimeouts()
	if t == nil {
		t = &controlv1.Timeouts{}
	}
	for _, d := range []struct {
		flag string
		of   time.Duration
		to   **durationpb.Duration
	}{{"connect-timeout", f.connect, &t.Connect}, {"idle-timeout", f.idle, &t.Idle}, {"total-timeout", f.total, &t.Total}} {
		if cmd.Flags().Changed(d.flag) {
			if *d.to = nil; d.of != 0 {
				*d.to = durationpb.New(d.of)
			}
		}
	}
	if e.Timeouts = nil; t.Connect != nil || t.Idle != nil || t.Total != nil {
		e.Timeouts = t
	}
}

// changeHeaders replaces headers of the same name and adds the others.
func (f *forwardFlags) changeHeaders(cmd *cobra.Command, e *controlv1.Endpoint) error {
	at := func(name string) int {
		return slices.IndexFunc(e.Headers, func(h *controlv1.Header) bool { return strings.EqualFold(h.GetName(), name) })
	}
	for _, name := range f.removeHeaders {
		i := at(name)
		if i < 0 {
			return usage(cmd, "The endpoint says nothing about the header %s.", name)
		}
		e.Headers = slices.Delete(e.Headers, i, i+1)
	}
	put := func(h *controlv1.Header, mode controlv1.Mode) {
		h.Mode = mode
		if i := at(h.GetName()); i >= 0 {
			e.Headers[i] = h
		} else {
			e.Headers = append(e.Headers, h)
		}
	}
	for _, list := range []struct {
		texts []string
		mode  controlv1.Mode
	}{{f.headers, controlv1.Mode_MODE_SET}, {f.defaults, controlv1.Mode_MODE_DEFAULT}} {
		for _, text := range list.texts {
			h, err := readHeader(cmd, text)
			if err != nil {
				return err
			}
			put(h, list.mode)
		}
	}
	for _, name := range f.strips {
		put(&controlv1.Header{Name: name}, controlv1.Mode_MODE_REMOVE)
	}
	return nil
}

func readHeader(cmd *cobra.Command, text string) (*controlv1.Header, error) {
	name, value, ok := strings.Cut(text, ":")
	if name = strings.TrimSpace(name); !ok || name == "" {
		return nil, usage(cmd, "The header %q has no name. Write it as 'name: value'.", text)
	}
	return &controlv1.Header{Name: name, Value: strings.TrimSpace(value)}, nil
}

func (f *forwardFlags) changeQuery(cmd *cobra.Command, e *controlv1.Endpoint) error {
	at := func(name string) int {
		return slices.IndexFunc(e.Query, func(q *controlv1.QueryParameter) bool { return q.GetName() == name })
	}
	for _, name := range f.removeQueries {
		i := at(name)
		if i < 0 {
			return usage(cmd, "The endpoint says nothing about the query parameter %s.", name)
		}
		e.Query = slices.Delete(e.Query, i, i+1)
	}
	for _, list := range []struct {
		texts []string
		mode  controlv1.Mode
	}{{f.queries, controlv1.Mode_MODE_DEFAULT}, {f.setQueries, controlv1.Mode_MODE_SET}, {f.stripQueries, controlv1.Mode_MODE_REMOVE}} {
		for _, text := range list.texts {
			name, value, ok := strings.Cut(text, "=")
			if list.mode != controlv1.Mode_MODE_REMOVE && (!ok || name == "") {
				return usage(cmd, "The query parameter %q has no name. Write it as 'name=value'.", text)
			}
			q := &controlv1.QueryParameter{Name: name, Value: value, Mode: list.mode}
			if i := at(name); i >= 0 {
				e.Query[i] = q
			} else {
				e.Query = append(e.Query, q)
			}
		}
	}
	return nil
}

var modeTexts = map[controlv1.Mode]string{
	controlv1.Mode_MODE_DEFAULT: " (where the caller sends none)", controlv1.Mode_MODE_REMOVE: " (left out)",
}

// describeRequest shows what becomes of a caller's request.
func describeRequest(t *table, e *controlv1.Endpoint) {
	if p := e.GetAccess().GetPublic(); p != nil {
		t.add("access", "PUBLIC, "+strconv.FormatInt(p.GetRequestsPerMinute(), 10)+" requests/min of all callers together")
	}
	for _, h := range e.GetHeaders() {
		t.add("header", strings.TrimSuffix(h.GetName()+": "+h.GetValue(), ": ")+modeTexts[h.GetMode()])
	}
	for _, q := range e.GetQuery() {
		text := q.GetName()
		if q.GetMode() != controlv1.Mode_MODE_REMOVE {
			text += "=" + q.GetValue()
		}
		mode := modeTexts[q.GetMode()]
		if q.GetMode() == controlv1.Mode_MODE_UNSPECIFIED {
			mode = modeTexts[controlv1.Mode_MODE_DEFAULT]
		}
		t.add("query", text+mode)
	}
	switch h := e.GetHostHeader().GetKind().(type) {
	case *controlv1.HostHeader_Caller_:
		t.add("host", "the caller's")
	case *controlv1.HostHeader_Text:
		t.add("host", h.Text)
	}
	forwards := forwardName(e.GetForwardHeaders())
	if e.GetPassHeaders() {
		forwards += ", and x-pass-NAME as NAME"
	}
	t.add("forwards", forwards)
	if h := e.GetKeyHeader(); h != "" {
		t.add("key header", h)
	}
}

func word(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
