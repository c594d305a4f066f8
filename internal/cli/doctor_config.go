package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

const (
	// expiresSoon is how long before a certificate's end somebody should know.
	expiresSoon = 14 * 24 * time.Hour
	// probesAtOnce is how many targets are connected to at a time.
	probesAtOnce = 8
	// mostNamed is how many things a finding names; the rest is counted.
	mostNamed = 5
)

// configuration looks at what is served, and to what targets.
func (x *examination) configuration(ctx context.Context, c clients) {
	endpoints, _, err := pages(0, func(size int32, token string) ([]*controlv1.Endpoint, string, error) {
		res, err := c.Endpoints.ListEndpoints(ctx, &controlv1.ListEndpointsRequest{PageSize: size, PageToken: token})
		return res.GetEndpoints(), res.GetNextPageToken(), err
	})
	if err != nil {
		x.failing(ctx, "endpoints", err)
		return
	}
	models, _, err := pages(0, func(size int32, token string) ([]*controlv1.Model, string, error) {
		res, err := c.Models.ListModels(ctx, &controlv1.ListModelsRequest{PageSize: size, PageToken: token})
		return res.GetModels(), res.GetNextPageToken(), err
	})
	if err != nil && connect.CodeOf(err) != connect.CodeUnimplemented {
		x.failing(ctx, "models", err)
		return
	}
	x.prices(ctx, c, endpoints)
	x.public(endpoints)
	if x.targets {
		x.probeAll(ctx, c, targetsOf(endpoints, models))
	}
}

// prices looks for what is called for nothing.
func (x *examination) prices(ctx context.Context, c clients, endpoints []*controlv1.Endpoint) {
	var free []string
	for _, e := range endpoints {
		if _, is := e.GetPrice().GetKind().(*controlv1.Price_Free_); is && e.GetModels() == nil && !e.GetDisabled() {
			free = append(free, e.GetName())
		}
	}
	if len(free) > 0 {
		x.note("prices", fmt.Sprintf("`%s endpoint set %s --price 0.01`, if it costs you something.", x.Program, free[0]), "free, so that no budget counts them: %s", names(free))
	} else {
		x.good("prices", "every endpoint has one")
	}
	today := x.Now().UTC().Format(time.DateOnly)
	res, err := c.usage.QueryUsage(ctx, &controlv1.QueryUsageRequest{FromDay: today, ToDay: today})
	if err != nil {
		return // what the ledger does not answer was told before
	}
	if n := res.GetTotal().GetUnpriced(); n > 0 {
		x.note("unpriced", fmt.Sprintf("`%s request list --unpriced`, then `%s request reprice --current`.", x.Program, x.Program),
			"%s today were charged a fallback, because it was not known what they cost", several(int(n), "request"))
	}
}

// public looks for endpoints that anybody may call.
func (x *examination) public(endpoints []*controlv1.Endpoint) {
	var open []string
	for _, e := range endpoints {
		if e.GetAccess().GetPublic() != nil && !e.GetDisabled() {
			open = append(open, e.GetName())
		}
	}
	if len(open) > 0 {
		x.note("access", "Have them ask for keys, or put a limit on them.", "anybody who reaches the gateway may call, and you pay: %s", names(open))
	} else {
		x.good("access", "every endpoint asks for a key")
	}
}

// names lists some, and counts the rest.
func names(all []string) string {
	if len(all) <= mostNamed {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:mostNamed], ", "), len(all)-mostNamed)
}

// served is a target and the endpoint whose settings of connections it is called with.
type served struct {
	url, endpoint string
	of            string // for people
}

// targetsOf are all targets that are called, each once.
func targetsOf(endpoints []*controlv1.Endpoint, models []*controlv1.Model) []served {
	var out []served
	add := func(s served) {
		s.url, _, _ = strings.Cut(s.url, "?")
		if s.url != "" && !slices.ContainsFunc(out, func(o served) bool { return o.url == s.url && o.endpoint == s.endpoint }) {
			out = append(out, s)
		}
	}
	for _, e := range endpoints {
		if e.GetDisabled() {
			continue
		}
		for _, t := range e.GetTargets() {
			add(served{t.GetUrl(), e.GetName(), "endpoint " + e.GetName()})
		}
	}
	for _, m := range models {
		for _, d := range m.GetDeployments() {
			add(served{url: d.GetTarget().GetUrl(), of: "model " + m.GetName() + "/" + d.GetName()})
		}
	}
	return out
}

// probeAll has edges connect to every target.
func (x *examination) probeAll(ctx context.Context, c clients, all []served) {
	results := make([]*controlv1.ProbeTargetResponse, len(all))
	errs := make([]error, len(all))
	gate := make(chan struct{}, probesAtOnce)
	var running sync.WaitGroup
	for i, target := range all {
		gate <- struct{}{}
		running.Go(func() {
			defer func() { <-gate }()
			results[i], errs[i] = c.edges.ProbeTarget(ctx, &controlv1.ProbeTargetRequest{Url: target.url, Endpoint: target.endpoint, Node: x.edge})
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, err := range errs {
			if err != nil { // they fail alike: the edges, or the rights
				x.failing(ctx, "targets", err)
				return
			}
		}
	}
	before := len(x.checks)
	for i, target := range all {
		x.probed(target, results[i].GetResults())
	}
	if len(x.checks) == before {
		x.good("targets", "%s, every edge reaches each", several(len(all), "target"))
	}
}

func (x *examination) probed(target served, found []*controlv1.ProbeResult) {
	for _, p := range found {
		since := len(x.checks)
		end := p.GetCertificateExpireTime()
		switch {
		case !p.GetReached():
			fix := map[string]string{
				"dns":     "Correct the host's name in the target, or the edge's resolver.",
				"address": "Targets on private addresses need allow_private_targets on the edge.",
				"connect": "See that the target runs, and that nothing between the edge and it blocks the way.",
				"tls":     "See whether the target's certificate has expired or is of an authority that the edge does not know; set the endpoint's TLS.",
			}[p.GetStage()]
			if name := p.GetSuggestion(); name != "" {
				fix = "Do you mean " + name + "? " + fix
			}
			x.bad("targets", first(fix, "`tollgate edge probe "+target.url+"` shows more."), "edge %s does not reach %s of %s (%s): %s", p.GetNode(), target.url, target.of, p.GetStage(), strings.TrimSuffix(p.GetError(), "."))
		case end != nil && end.AsTime().Sub(x.Now()) < expiresSoon:
			x.note("targets", "Its owner has to renew it.", "the certificate of %s ends on %s", target.url, end.AsTime().UTC().Format(time.DateOnly))
		}
		x.on(p.GetNode(), since)
	}
}
