package edge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"tollgate/edge/routing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

const (
	// probeWithin is how long a target may take to be found, connected to and to answer.
	probeWithin = 5 * time.Second
	// mostProbes run at a time: they are people's.
	mostProbes = 8
)

// obey does what it is asked to, as long as NATS is there to ask. What takes a while is done beside the next question.
func (n *Node) obey(ctx context.Context) error {
	var running sync.WaitGroup
	places := make(chan struct{}, mostProbes)
	end, err := n.conn.Subscribe(contract.EdgeCommand(n.cfg.Name), "", func(msg *nats.Msg) {
		var cmd eventv1.EdgeCommand
		if err := proto.Unmarshal(msg.Data, &cmd); err != nil {
			n.reply(msg, &eventv1.EdgeReply{Error: "it cannot read the command, which is of another version."})
			return
		}
		probe := cmd.GetProbe()
		if probe == nil {
			n.reply(msg, n.do(&cmd))
			return
		}
		select {
		case places <- struct{}{}:
			running.Go(func() {
				defer func() { <-places }()
				n.reply(msg, &eventv1.EdgeReply{Probe: n.probe(ctx, probe)})
			})
		default:
			n.reply(msg, &eventv1.EdgeReply{Error: "it probes as many targets as it may at a time."})
		}
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	err = end()
	running.Wait()
	if err != nil {
		n.log.Debug("subscription did not end in order", "err", err)
	}
	return nil
}

// do does what is done at once.
func (n *Node) do(cmd *eventv1.EdgeCommand) *eventv1.EdgeReply {
	out := &eventv1.EdgeReply{}
	switch c := cmd.GetCommand().(type) {
	case *eventv1.EdgeCommand_Drain:
		if on := !c.Drain.GetEnd(); on != n.gateway.Draining() {
			out.Changed = 1
		}
		n.gateway.Drain(!c.Drain.GetEnd())
		n.log.Info("told about requests", "wanted", c.Drain.GetEnd())
	case *eventv1.EdgeCommand_ResetBreaker:
		out.Changed = int32(n.pools.Reset(c.ResetBreaker.GetEndpoint(), c.ResetBreaker.GetTarget()))
		n.log.Info("targets are tried again", "endpoint", c.ResetBreaker.GetEndpoint(), "target", c.ResetBreaker.GetTarget(), "changed", out.GetChanged())
	default:
		out.Error = "it does not know the command, which is of a newer version."
	}
	out.InFlight = n.gateway.InFlight()
	n.beatNow()
	return out
}

// probe connects to a target in the way that requests to the endpoint's would.
func (n *Node) probe(ctx context.Context, cmd *eventv1.ProbeCommand) *controlv1.ProbeResult {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	out := n.prober.Probe(ctx, cmd.GetUrl(), n.transportOf(cmd))
	out.Node = n.cfg.Name
	return out
}

// transportOf is how an endpoint connects to the target that has the URL, or to its first one.
func (n *Node) transportOf(cmd *eventv1.ProbeCommand) *routing.Transport {
	table := n.routes.Current()
	if table == nil || cmd.GetEndpointId() == "" {
		return nil
	}
	for _, e := range table.Destinations() {
		if e.ID != cmd.GetEndpointId() || len(e.Targets) == 0 {
			continue
		}
		for _, t := range e.Targets {
			if t.Name == cmd.GetUrl() {
				return &t.Transport
			}
		}
		return &e.Targets[0].Transport
	}
	return nil
}

func (n *Node) reply(msg *nats.Msg, reply *eventv1.EdgeReply) {
	data, err := proto.Marshal(reply)
	if err == nil {
		err = msg.Respond(data)
	}
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		n.log.Warn("command not answered", "err", err)
	}
}
