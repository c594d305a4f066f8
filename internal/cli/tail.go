package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// tailFlags select requests as they end.
type tailFlags struct {
	filter                  controlv1.SeenFilter
	minCost, minTime, since string
	noFollow                bool
	most                    int32
}

func (f *tailFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	for _, one := range []struct {
		name, usage string
		to          *[]string
	}{
		{"endpoint", "of these endpoints only", &f.filter.Endpoints},
		{"key", "of these keys only", &f.filter.Keys},
		{"team", "of these teams only", &f.filter.Teams},
		{"customer", "of these customers only", &f.filter.Customers},
		{"tag", "with one of these tags only", &f.filter.Tags},
		{"model", "of these models only", &f.filter.Models},
		{"edge", "served by these edges only", &f.filter.Edges},
		{"method", "of these methods only", &f.filter.Methods},
		{"status", "answered with these only: 404, 4xx, 5xx", &f.filter.Statuses},
	} {
		flags.StringSliceVar(one.to, one.name, nil, one.usage)
	}
	flags.StringVar(&f.filter.Text, "text", "", "with this in their path, id, code or names only")
	flags.StringVar(&f.minCost, "min-cost", "", "that cost at least so many dollars only")
	flags.StringVar(&f.minTime, "min-time", "", "that took at least so long only, such as 2s")
	flags.StringVar(&f.since, "since", "", "begin so long ago, such as 10m, as far back as is kept")
	flags.BoolVar(&f.noFollow, "no-follow", false, "end with what there is already")
	flags.Int32Var(&f.most, "max-per-second", 0, "show at most so many a second and count the rest; 0 for all")
}

var statusPattern = regexp.MustCompile(`^[0-9](xx|[0-9]{2})$`)

func (f *tailFlags) request(cmd *cobra.Command) (*controlv1.TailRequestsRequest, error) {
	out := &controlv1.TailRequestsRequest{Filter: &f.filter, MostPerSecond: f.most}
	for i, method := range f.filter.GetMethods() {
		f.filter.Methods[i] = strings.ToUpper(method)
	}
	for _, status := range f.filter.GetStatuses() {
		if !statusPattern.MatchString(status) {
			return nil, usage(cmd, "--status %q is no status such as 404, 4xx or 5xx.", status)
		}
	}
	if f.most < 0 {
		return nil, usage(cmd, "--max-per-second is %d, which is less than none.", f.most)
	}
	if f.minCost != "" {
		nanos, err := dollarsFlag(cmd, "min-cost", f.minCost)
		if err != nil {
			return nil, err
		}
		f.filter.MinCost = contract.MoneyToProto(nanos)
	}
	for _, one := range []struct {
		name, text string
		to         **durationpb.Duration
	}{{"min-time", f.minTime, &f.filter.MinTime}, {"since", f.since, &out.Since}} {
		if one.text == "" {
			continue
		}
		d, ok := span(one.text)
		if !ok {
			return nil, usage(cmd, "--%s %q is no length of time such as 500ms, 10m or 2h.", one.name, one.text)
		}
		*one.to = durationpb.New(d)
	}
	if f.noFollow && out.Since == nil {
		out.Since = durationpb.New(time.Hour) // longer than edges' accounts are kept
	}
	return out, nil
}

func (a *app) tailCommand() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use: "tail", Short: "Follow requests while they happen, refused ones too", Args: exactly(),
		Long: `Follow requests as they end on any edge: those that were refused as well as those that were served. When the
connection breaks it is made again, and what happened meanwhile is filled in. ^C ends it.`,
		Example: "  tollgate tail --no-follow --status 4xx,5xx\n  tollgate tail --no-follow --endpoint bria --min-cost 1 --since 10m -o ndjson",
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, err := f.request(cmd)
			if err != nil {
				return err
			}
			allowed := a.timeout
			a.timeout = 0 // it goes on until somebody ends it
			return a.with(cmd, func(ctx context.Context, c clients) error {
				t := &tailer{app: a, clients: c, req: req, follow: !f.noFollow, allowed: allowed}
				return t.run(ctx)
			})
		},
	}
	f.register(cmd)
	return cmd
}

// Waits between two tries to connect again: the first is short, because most breaks are.
const (
	tailPause     = 250 * time.Millisecond
	tailMostPause = 5 * time.Second
	// tailQuiet is longer than a server that is there is silent.
	tailQuiet = 25 * time.Second
	// tailSettles is how long nothing has to come until what there is already is taken to be all.
	tailSettles = time.Second
)

// tailer follows requests over any number of connections.
type tailer struct {
	*app
	clients clients
	req     *controlv1.TailRequestsRequest
	follow  bool
	allowed time.Duration // for the first answer
	all     []any         // for forms that are written as one document

	lost time.Time // when the connection broke; zero once what happened meanwhile was shown
	back time.Time // when it was made again; zero unless that is still to be said
}

func (t *tailer) run(ctx context.Context) error {
	wait := tailPause
	heard := false
	for {
		began := t.Now()
		received, err := t.stream(ctx)
		heard = heard || received
		switch {
		case ctx.Err() != nil && heard:
			return t.end() // whoever watched has seen enough
		case !t.follow && (err == nil || errors.Is(err, io.EOF)):
			return t.end()
		case !heard && err != nil, refusesTail(err):
			return err
		}
		if t.lost.IsZero() {
			t.lost = t.Now()
			t.say("── the connection broke; connecting again ──")
		}
		if received || t.Now().Sub(began) > tailMostPause {
			wait = tailPause
		}
		if t.Pause(ctx, wait) != nil {
			return t.end()
		}
		wait = min(2*wait, tailMostPause)
	}
}

// refusesTail says whether trying again cannot help.
func refusesTail(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeInvalidArgument, connect.CodeUnauthenticated, connect.CodePermissionDenied, connect.CodeUnimplemented, connect.CodeNotFound:
		return true
	default:
		return false
	}
}

// end writes what forms of one document hold.
func (t *tailer) end() error {
	if form := t.format(); form != formatYAML && (form != formatJSON || t.jq != "") {
		return nil // each was written when it came
	}
	return t.print(result{data: append([]any{}, t.all...)})
}

// received is a message, or why there are no more.
type received struct {
	message *controlv1.TailRequestsResponse
	err     error
}

// stream follows one connection to its end, and says whether anything came.
func (t *tailer) stream(ctx context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	messages := make(chan received)
	done := make(chan struct{})
	go func() { // ends with the context
		defer close(done)
		t.receive(ctx, messages)
	}()
	defer func() {
		cancel()
		<-done
	}()
	limit := t.allowed
	for {
		got, err := nextMessage(ctx, messages, limit)
		switch {
		case errors.Is(err, errSilent) && heard && !t.follow:
			return heard, nil
		case errors.Is(err, errSilent) && !t.back.IsZero():
			t.divide(0, false)
			limit = tailQuiet
			continue
		case err != nil:
			return heard, err
		}
		if !heard && !t.lost.IsZero() {
			t.back = t.Now()
		}
		heard = true
		if err := t.take(got); err != nil {
			return heard, err
		}
		if limit = tailQuiet; !t.follow || !t.back.IsZero() {
			limit = tailSettles
		}
	}
}

// errSilent is a connection that tells nothing, not even that it is there.
var errSilent = fault.New(fault.DeadlineExceeded, "The control plane told nothing in the time allowed.").WithHint("Allow more with --timeout.")

func nextMessage(ctx context.Context, messages <-chan received, limit time.Duration) (*controlv1.TailRequestsResponse, error) {
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case m := <-messages:
		return m.message, m.err
	case <-late:
		return nil, errSilent
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (t *tailer) receive(ctx context.Context, to chan<- received) {
	send := func(r received) bool {
		select {
		case to <- r:
			return true
		case <-ctx.Done():
			return false
		}
	}
	stream, err := t.clients.requests.TailRequests(ctx, t.req)
	if err != nil {
		send(received{err: err})
		return
	}
	defer func() { _ = stream.Close() }() // what counts was received
	for stream.Receive() {
		if !send(received{message: stream.Msg()}) {
			return
		}
	}
	if err = stream.Err(); err == nil {
		err = io.EOF // a server that stops ends its streams without a reason
	}
	send(received{err: err})
}

// take shows a message and notes where it ends. What happened while there was no connection comes with the first message that has
// anything.
func (t *tailer) take(m *controlv1.TailRequestsResponse) error {
	missed := 0
	if m.GetGap() && t.back.IsZero() {
		t.say("── some requests may be missing here ──")
	}
	for _, q := range m.GetRequests() {
		if !q.GetTime().AsTime().After(t.back) {
			missed++
		} else if missed > 0 {
			t.divide(missed, m.GetGap())
		}
		if err := t.show(q); err != nil {
			return err
		}
	}
	if !t.back.IsZero() && (len(m.GetRequests()) > 0 || m.GetGap()) {
		t.divide(missed, m.GetGap())
	}
	if n := m.GetLeftOut(); n > 0 {
		t.say("── %s more, not shown ──", several(int(n), "request"))
	}
	if token := m.GetResumeToken(); token != "" {
		t.req.ResumeToken, t.req.Since = token, nil
	}
	return nil
}

// divide says that the connection is there again, and what was filled in above.
func (t *tailer) divide(filled int, gap bool) {
	if t.back.IsZero() {
		return
	}
	away := t.back.Sub(t.lost).Round(time.Second)
	switch {
	case gap:
		t.say("── reconnected after %s, %s filled in; some may be missing ──", away, several(filled, "request"))
	default:
		t.say("── reconnected after %s, %s filled in ──", away, several(filled, "request"))
	}
	t.lost, t.back = time.Time{}, time.Time{}
}

// show writes one request in the form that was asked for.
func (t *tailer) show(q *controlv1.SeenRequest) error {
	switch t.format() {
	case formatJSON, formatYAML:
		if t.jq != "" {
			return t.printJQ(view(q))
		}
		t.all = append(t.all, view(q))
		return nil
	case formatNDJSON:
		return t.print(result{data: view(q)})
	case formatName:
		return t.print(result{names: []string{q.GetRequestId()}})
	case formatCSV:
		return writeCSV(t.Stdout, table{rows: [][]string{seenCells(q)}})
	}
	if !t.StdoutTerminal {
		_, err := fmt.Fprintln(t.Stdout, strings.Join(seenCells(q), "\t"))
		return err
	}
	_, err := fmt.Fprintln(t.Stdout, t.seenLine(q))
	return err
}

// seenCells are what programs get of a request in columns.
func seenCells(q *controlv1.SeenRequest) []string {
	return []string{
		q.GetTime().AsTime().UTC().Format("2006-01-02T15:04:05.000Z"), seenStatus(q), q.GetMethod(), q.GetPath(), first(q.GetKey(), "-"),
		first(q.GetEndpoint(), "-"), first(q.GetCode(), "-"), seenCost(q), q.GetGateway().AsDuration().String(), seenUpstream(q), q.GetEdge(), q.GetRequestId(),
	}
}

func seenStatus(q *controlv1.SeenRequest) string {
	if q.GetStatus() == 0 {
		return "gone"
	}
	return count(int64(q.GetStatus()))
}

func seenCost(q *controlv1.SeenRequest) string {
	if q.GetUnpriced() {
		return "unpriced"
	}
	return dollars(q.GetCost())
}

func seenUpstream(q *controlv1.SeenRequest) string {
	if q.GetUpstream() == nil {
		return "-"
	}
	return q.GetUpstream().AsDuration().String()
}

// seenLine is a request for people, in columns that rarely have to move.
func (t *tailer) seenLine(q *controlv1.SeenRequest) string {
	status := seenStatus(q)
	colour := green
	switch {
	case q.GetStatus() == 0 || q.GetStatus() >= 500:
		colour = red
	case q.GetStatus() >= 400:
		colour = yellow
	}
	if t.coloured(t.StdoutTerminal) {
		status = "\x1b[" + colour + "m" + status + "\x1b[0m"
	}
	what := slices.DeleteFunc([]string{q.GetCode(), first(q.GetDeployment(), q.GetEndpoint()), seenCost(q)}, func(s string) bool { return s == "" || s == "-" })
	took := "gw " + shortTime(q.GetGateway().AsDuration())
	if q.GetUpstream() != nil {
		took += " up " + shortTime(q.GetUpstream().AsDuration())
	}
	path := q.GetPath()
	if runes := []rune(path); len(runes) > 32 {
		path = string(runes[:31]) + "…"
	}
	return fmt.Sprintf("%s  %s  %-5s %-32s  key %-14s %-34s %-24s %s", q.GetTime().AsTime().Local().Format("15:04:05.000"),
		status, q.GetMethod(), path, first(q.GetKey(), "-"), strings.Join(what, " "), took, q.GetRequestId())
}

// shortTime is a time in the unit that people say it in.
func shortTime(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
