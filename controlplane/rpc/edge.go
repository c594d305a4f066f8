package rpc

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"

	"tollgate/controlplane/fleet"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// Nodes tells about edges.
type Nodes interface {
	Nodes(newest contract.Version, now time.Time) []fleet.Node
}

// Fleet has edges do things as well.
type Fleet interface {
	Nodes
	// Command has an edge do something; where it cannot, the error is a fault.
	Command(ctx context.Context, edge string, cmd *eventv1.EdgeCommand) (*eventv1.EdgeReply, error)
	// Reached and PublishTime are when an edge was first heard to serve a revision, and when that was published; zero where
	// that is not known.
	Reached(edge string, revision int64) time.Time
	PublishTime(revision int64) time.Time
	// Changed is closed when there is something new.
	Changed() <-chan struct{}
}

type edgeService struct {
	controlv1connect.UnimplementedEdgeServiceHandler

	store    *store.Store
	fleet    Fleet
	joining  Joining
	stopping <-chan struct{}
}

// nodes are the edges, and the newest version that they are compared with.
func (s *edgeService) nodes(ctx context.Context) ([]fleet.Node, contract.Version, error) {
	st, err := s.store.State(ctx)
	if err != nil {
		return nil, contract.Version{}, err
	}
	return s.fleet.Nodes(st.Current, time.Now()), st.Current, nil
}

func (s *edgeService) GetNode(ctx context.Context, req *controlv1.GetNodeRequest) (*controlv1.GetNodeResponse, error) {
	all, newest, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if n.GetEdge() == req.GetNode() {
			return &controlv1.GetNodeResponse{Node: nodeTo(n), Revision: newest.Revision}, nil
		}
	}
	return nil, noNode(req.GetNode())
}

func noNode(name string) error {
	return fault.New(fault.ObjectNotFound, "There is no edge %.63q.", name).WithHint("List the edges with `tollgate nodes`.")
}

// known refuses the name of an edge that was not heard of for a day.
func (s *edgeService) known(ctx context.Context, name string) error {
	all, _, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range all {
		if n.GetEdge() == name {
			return nil
		}
	}
	return noNode(name)
}

func (s *edgeService) GetRollout(ctx context.Context, req *controlv1.GetRolloutRequest) (*controlv1.GetRolloutResponse, error) {
	all, newest, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	revision := req.GetRevision()
	if revision == 0 {
		revision = newest.Revision
	}
	if revision > newest.Revision {
		return nil, fault.New(fault.ObjectNotFound, "There is no revision %d yet: the newest is %d.", revision, newest.Revision)
	}
	out := &controlv1.GetRolloutResponse{Revision: revision}
	if at := s.fleet.PublishTime(revision); !at.IsZero() {
		out.PublishTime = timeTo(at)
	}
	for _, n := range all {
		if n.Status == fleet.Silent {
			continue
		}
		node := &controlv1.RolloutNode{Node: n.GetEdge(), Revision: n.GetRevision()}
		node.Live = n.GetEpoch() == newest.Epoch && n.GetRevision() >= revision
		if node.GetLive() {
			out.Live++
			if at := s.fleet.Reached(n.GetEdge(), revision); !at.IsZero() {
				node.LiveTime = timeTo(at)
			}
		}
		out.Total++
		out.Nodes = append(out.Nodes, node)
	}
	return out, nil
}

func (s *edgeService) DrainNode(ctx context.Context, req *controlv1.DrainNodeRequest) (*controlv1.DrainNodeResponse, error) {
	if err := s.known(ctx, req.GetNode()); err != nil {
		return nil, err
	}
	reply, err := s.fleet.Command(ctx, req.GetNode(), &eventv1.EdgeCommand{
		Command: &eventv1.EdgeCommand_Drain{Drain: &eventv1.DrainCommand{End: req.GetEnd()}},
	})
	if err != nil {
		return nil, err
	}
	return &controlv1.DrainNodeResponse{InFlight: reply.GetInFlight()}, nil
}

func (s *edgeService) ResetBreaker(ctx context.Context, req *controlv1.ResetBreakerRequest) (*controlv1.ResetBreakerResponse, error) {
	if req.GetEndpoint() == "" && req.GetTarget() == "" {
		p := problems("")
		p.Add("endpoint", registry.Required, "Name an endpoint, a target, or both.")
		return nil, p.Err("the call")
	}
	cmd := &eventv1.ResetBreakerCommand{Target: req.GetTarget()}
	if ref := req.GetEndpoint(); ref != "" {
		var err error
		if cmd.Endpoint, err = s.destination(ctx, ref); err != nil {
			return nil, err
		}
	}
	out := &controlv1.ResetBreakerResponse{}
	err := s.each(ctx, req.GetNode(), &eventv1.EdgeCommand{Command: &eventv1.EdgeCommand_ResetBreaker{ResetBreaker: cmd}},
		func(node string, reply *eventv1.EdgeReply, err error) {
			result := &controlv1.NodeResult{Node: node, Changed: reply.GetChanged()}
			if err != nil {
				result.Error = fault.From(err).Message
			}
			out.Results = append(out.Results, result)
		})
	return out, err
}

// destination is the id of an endpoint or a model.
func (s *edgeService) destination(ctx context.Context, ref string) (string, error) {
	if id.Is(id.Model, ref) {
		m, err := s.store.Model(ctx, ref)
		return m.ID, err
	}
	e, err := s.store.Endpoint(ctx, ref)
	if err == nil {
		return e.ID, nil
	}
	if fault.From(err).Code != fault.ObjectNotFound || id.Is(id.Endpoint, ref) {
		return "", err
	}
	if m, modelErr := s.store.Model(ctx, ref); modelErr == nil {
		return m.ID, nil
	}
	return "", err
}

func (s *edgeService) ProbeTarget(ctx context.Context, req *controlv1.ProbeTargetRequest) (*controlv1.ProbeTargetResponse, error) {
	if !strings.HasPrefix(req.GetUrl(), "http://") && !strings.HasPrefix(req.GetUrl(), "https://") {
		p := problems("")
		p.Add("url", registry.Malformed, "%q does not begin with http:// or https://.", req.GetUrl())
		return nil, p.Err("the call")
	}
	if u, err := url.Parse(req.GetUrl()); err == nil && u.User != nil {
		p := problems("")
		p.Add("url", registry.Forbidden, "It has a name or a password in it, which a probe does not send: leave them out.")
		return nil, p.Err("the call")
	}
	cmd := &eventv1.ProbeCommand{Url: req.GetUrl()}
	if ref := req.GetEndpoint(); ref != "" {
		var err error
		if cmd.EndpointId, err = s.destination(ctx, ref); err != nil {
			return nil, err
		}
	}
	out := &controlv1.ProbeTargetResponse{}
	err := s.each(ctx, req.GetNode(), &eventv1.EdgeCommand{Command: &eventv1.EdgeCommand_Probe{Probe: cmd}},
		func(node string, reply *eventv1.EdgeReply, err error) {
			result := reply.GetProbe()
			if err != nil {
				result = &controlv1.ProbeResult{Error: fault.From(err).Message}
			}
			result.Node = node
			out.Results = append(out.Results, result)
		})
	return out, err
}

// mostAsked is how many edges are asked at a time.
const mostAsked = 32

// each has one edge, or every one that is heard, do something at the same time, and hands over what came of it in the order of their
// names. It fails only where there is nobody to ask.
func (s *edgeService) each(ctx context.Context, only string, cmd *eventv1.EdgeCommand, take func(node string, reply *eventv1.EdgeReply, err error)) error {
	all, _, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, n := range all {
		if only == n.GetEdge() || only == "" && n.Status != fleet.Silent {
			names = append(names, n.GetEdge())
		}
	}
	switch {
	case len(names) == 0 && only != "":
		return noNode(only)
	case len(names) == 0:
		return fault.New(fault.UnavailableErr, "No edge is connected.").WithHint("Start an edge, or check with `tollgate nodes` why there is none.")
	}
	type answer struct {
		reply *eventv1.EdgeReply
		err   error
	}
	answers, places := make([]answer, len(names)), make(chan struct{}, mostAsked)
	var asked sync.WaitGroup
	for i, name := range names {
		asked.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			answers[i].reply, answers[i].err = s.fleet.Command(ctx, name, cmd)
		})
	}
	asked.Wait()
	for i, name := range names {
		take(name, answers[i].reply, answers[i].err)
	}
	return nil
}
