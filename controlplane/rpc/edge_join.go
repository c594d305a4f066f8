package rpc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"tollgate/controlplane/fleet"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// Joining makes the settings of edges. Its error is a fault that says what the control plane's own settings lack.
type Joining interface {
	EdgeSettings(node, region string) ([]byte, error)
}

const (
	joinPrefix = "tgj_"
	joinLife   = time.Hour
)

// noJoining is where nobody has said how edges are set up.
type noJoining struct{}

func (noJoining) EdgeSettings(string, string) ([]byte, error) {
	return nil, fault.New(fault.FailedPrecondition, "This control plane does not know the settings of edges.")
}

func (s *edgeService) CreateJoinToken(ctx context.Context, req *controlv1.CreateJoinTokenRequest) (*controlv1.CreateJoinTokenResponse, error) {
	// What an edge would be refused is refused now, when somebody is there to correct it.
	if _, err := s.joining.EdgeSettings(req.GetNode(), req.GetRegion()); err != nil {
		return nil, err
	}
	raw := make([]byte, 32)
	rand.Read(raw)
	token := joinPrefix + base64.RawURLEncoding.EncodeToString(raw)
	t, err := s.store.CreateJoinToken(ctx, token, store.JoinToken{Node: req.GetNode(), Region: req.GetRegion(), Creator: actor(ctx)}, joinLife)
	if err != nil {
		return nil, err
	}
	return &controlv1.CreateJoinTokenResponse{
		Token: token, ExpireTime: timeTo(t.ExpireTime), Command: "tollgate edge --join " + baseOf(ctx) + " --token " + token,
	}, nil
}

// Join takes the token at the very end, so that what is refused can be tried again with it.
func (s *edgeService) Join(ctx context.Context, req *controlv1.JoinRequest) (*controlv1.JoinResponse, error) {
	t, err := s.store.FindJoinToken(ctx, req.GetToken())
	if err != nil {
		return nil, err
	}
	p := problems("")
	name := t.Node
	switch {
	case name == "":
		name = req.GetNode()
	case req.GetNode() != "" && req.GetNode() != name:
		p.Add("node", registry.Forbidden, "The token is for an edge that is called %s.", name)
	}
	if err := p.Err("the call"); err != nil {
		return nil, err
	}
	for _, n := range s.fleet.Nodes(contract.Version{}, time.Now()) {
		if n.GetEdge() == name && n.Status != fleet.Silent {
			p.Add("node", registry.Taken, "There is an edge %s, and it runs. Two of one name would be taken for one.", name)
			return nil, p.Err("the call")
		}
	}
	settings, err := s.joining.EdgeSettings(name, t.Region)
	if err != nil {
		return nil, err
	}
	if err := s.store.TakeJoinToken(ctx, req.GetToken()); err != nil {
		return nil, err
	}
	if err := s.store.Record(ctx, "join token of "+t.Creator, "join", "edge", name, nil); err != nil {
		return nil, err
	}
	return &controlv1.JoinResponse{Settings: settings, Node: name}, nil
}
