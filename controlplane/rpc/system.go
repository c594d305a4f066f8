package rpc

import (
	"context"
	"time"

	"tollgate/controlplane/fleet"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

type systemService struct {
	store   *store.Store
	fleet   Nodes
	version string
}

func (s *systemService) GetInfo(ctx context.Context, _ *controlv1.GetInfoRequest) (*controlv1.GetInfoResponse, error) {
	st, err := s.store.State(ctx)
	if err != nil {
		return nil, err
	}
	out := &controlv1.GetInfoResponse{Version: s.version, Epoch: st.Current.Epoch, Revision: st.Current.Revision}
	// A revision of another epoch cannot be compared with this one's.
	if st.Published.Epoch == st.Current.Epoch {
		out.PublishedRevision = st.Published.Revision
	}
	return out, nil
}

func (s *systemService) ListNodes(ctx context.Context, _ *controlv1.ListNodesRequest) (*controlv1.ListNodesResponse, error) {
	st, err := s.store.State(ctx)
	if err != nil {
		return nil, err
	}
	out := &controlv1.ListNodesResponse{Revision: st.Current.Revision}
	for _, n := range s.fleet.Nodes(st.Current, time.Now()) {
		out.Nodes = append(out.Nodes, nodeTo(n))
	}
	return out, nil
}

func nodeTo(n fleet.Node) *controlv1.Node {
	m := &controlv1.Node{
		Id:           n.GetEdge(),
		Incarnation:  n.GetInc(),
		Status:       controlv1.NodeStatus(n.Status), // the numbers are the same
		Revision:     n.GetRevision(),
		Epoch:        n.GetEpoch(),
		Version:      n.GetVersion(),
		LastSeenTime: timeTo(n.LastSeen),
		SpoolEvents:  n.GetSpoolEvents(),
		SpoolAgeMs:   n.GetSpoolAgeMs(),
		MissingEnv:   n.GetMissingEnv(),
		Address:      n.GetAddress(),
		InFlight:     n.GetInFlight(),
	}
	if ms := n.GetStartUnixMs(); ms != 0 {
		m.StartTime = timeTo(time.UnixMilli(ms))
	}
	for _, b := range n.GetBreakers() {
		m.Breakers = append(m.Breakers, &controlv1.NodeBreaker{Target: b.GetTarget(), State: b.GetState()})
	}
	for _, t := range n.GetTargets() {
		target := &controlv1.NodeTarget{
			Endpoint: t.GetEndpoint(), Target: t.GetTarget(), State: t.GetState(), Attempts: t.GetAttempts(),
			Failures: t.GetFailures(), Retries: t.GetRetries(), InFlight: t.GetInFlight(),
		}
		if ms := t.GetUntilUnixMs(); ms != 0 {
			target.RetryTime = timeTo(time.UnixMilli(ms))
		}
		m.Targets = append(m.Targets, target)
	}
	return m
}
