package cli

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

const (
	// liveWithin is how long a command waits until every edge serves what it wrote. Most do within a fraction of it.
	liveWithin = 3 * time.Second
	livePause  = 25 * time.Millisecond
)

// published are the services whose writes edges serve.
var published = map[string]bool{
	controlv1connect.EndpointServiceName: true, controlv1connect.KeyServiceName: true, controlv1connect.TeamServiceName: true,
	controlv1connect.BudgetServiceName: true, controlv1connect.LimitServiceName: true, controlv1connect.SecretServiceName: true,
	controlv1connect.ModelServiceName: true, controlv1connect.AdapterServiceName: true, controlv1connect.CustomerServiceName: true,
	controlv1connect.PriceBookServiceName: true,
}

// written is what the calls of a command have changed.
type written struct {
	any      atomic.Bool
	revision atomic.Int64 // the newest that an answer named; 0 if none did
}

// note remembers a call that changed something which edges serve.
func (w *written) note(spec connect.Spec, answer proto.Message) {
	service, _, _ := strings.Cut(strings.TrimPrefix(spec.Procedure, "/"), "/")
	if w == nil || spec.IdempotencyLevel == connect.IdempotencyNoSideEffects || !published[service] || answer == nil {
		return
	}
	w.any.Store(true)
	if r := revisionIn(answer.ProtoReflect(), 1); r > w.revision.Load() {
		w.revision.Store(r)
	}
}

// revisionIn is the revision that an answer, or the thing in it, has.
func revisionIn(m protoreflect.Message, depth int) (newest int64) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Name() == "revision" && f.Kind() == protoreflect.Int64Kind && !f.IsList():
			newest = max(newest, v.Int())
		case f.Message() != nil && !f.IsList() && !f.IsMap() && depth > 0:
			newest = max(newest, revisionIn(v.Message(), depth-1))
		}
		return true
	})
	return newest
}

// sayLive says how many edges serve what was written, once all do or it has taken long enough. It is said to people only, and what
// cannot be found out is left out: the write is done.
func (a *app) sayLive(ctx context.Context, c clients, w *written) {
	if !w.any.Load() || a.dryRun || a.quiet || !a.forPeople() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, liveWithin)
	defer cancel()
	began := a.Now()
	var last *controlv1.GetRolloutResponse
	revision := w.revision.Load()
	for {
		res, err := c.edges.GetRollout(ctx, &controlv1.GetRolloutRequest{Revision: revision})
		if err != nil {
			break
		}
		last, revision = res, res.GetRevision()
		if res.GetLive() >= res.GetTotal() || a.Pause(ctx, livePause) != nil {
			break
		}
	}
	switch {
	case last.GetTotal() == 0:
	case last.GetLive() == last.GetTotal():
		a.say("  live on %d/%d edges in %.1f s", last.GetLive(), last.GetTotal(), a.Now().Sub(began).Seconds())
	default:
		a.say("%s live on %d/%d edges so far: %s edge rollout --revision %d --wait 1m", a.paint(yellow, "!"), last.GetLive(), last.GetTotal(), a.Program, revision)
	}
}
