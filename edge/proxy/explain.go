package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"tollgate/edge/admit"
	"tollgate/edge/pool"
	"tollgate/edge/routing"
	"tollgate/edge/signing"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// Explain takes a request through the stages up to its first attempt, which it does not make, and tells
// what each of them said. What a stage takes for the request is given back at once; nothing is recorded.
func (g *Gateway) Explain(ctx context.Context, q *eventv1.ExplainCall) (out *controlv1.Explanation) {
	x := newExplainer(g, q)
	c := x.c
	defer c.release()
	defer func() {
		// A bug costs one question, never the process: nobody else's requests are to end by it.
		if v := recover(); v != nil {
			c.logPanic(ctx, v)
			x.out.Admitted, x.out.Refusal = false, x.refusal(fault.New(fault.InternalError, "Something went wrong inside Tollgate."))
			out = x.out
		}
	}()
	defer c.settle()
	if table := g.table(); table != nil {
		x.out.Revision = table.Version().Revision
	}
	if err := x.stages(ctx); err != nil {
		x.out.Refusal = x.refusal(err)
	}
	x.out.Admitted = x.out.GetRefusal() == nil
	return x.out
}

// newExplainer makes the request of a question.
func newExplainer(g *Gateway, q *eventv1.ExplainCall) *explainer {
	c := newCall(g, &Exchange{
		Method: q.GetMethod(), Target: q.GetPath(), Length: q.GetBodyBytes(), Proto: HTTP11, Out: nowhere{},
	})
	c.asked = true
	if text := q.GetBody(); len(text) > 0 {
		c.x.Body, c.x.Length = &ownBody{*bytes.NewReader(text)}, int64(len(text))
	}
	for _, h := range q.GetHeaders() {
		if strings.EqualFold(h.GetName(), "host") {
			c.x.Host = h.GetValue()
			continue
		}
		c.x.Headers = append(c.x.Headers, Header{h.GetName(), h.GetValue()})
	}
	if upgrade(c.x.Headers) == "websocket" {
		c.x.Upgrade = "websocket"
	}
	return &explainer{c: c, out: &controlv1.Explanation{}, hash: q.GetKeySha256()}
}

// nowhere is the answer to a request that nobody has made.
type nowhere struct{ Responder }

// explainer writes down what the stages say.
type explainer struct {
	c    *call
	out  *controlv1.Explanation
	hash []byte // of the key that calls; empty without one
}

// stages are those of admit, each with what it found in words.
func (x *explainer) stages(ctx context.Context) error {
	c := x.c
	if t := c.g.table(); t != nil {
		x.out.Revision = t.Version().Revision
	}
	for _, s := range []struct {
		name  string
		stage func(context.Context) error
		found func() string
	}{
		{"match", func(ctx context.Context) error {
			if err := c.split(); err != nil {
				return err
			}
			return c.match(ctx)
		}, x.matched},
		{"authenticate", x.authenticate, x.authenticated},
		{"labels", c.label, x.labeled},
		{"body", c.checkBody, x.body},
		{"customer", c.customer, x.customer},
		{"model", x.model, x.asked},
		{"price", c.price, x.priced},
		{"limits", c.within, x.limited},
		{"budgets", x.hold, x.held},
		{"target", x.target, x.chosen},
	} {
		if s.name == "model" && c.ask == nil || s.name == "customer" && (c.ask != nil || !c.table.Customers().Matter()) {
			continue
		}
		err := s.stage(ctx)
		step := &controlv1.ExplainStep{Stage: s.name, Passed: err == nil}
		x.out.Steps = append(x.out.Steps, step)
		switch {
		case errors.Is(err, errAnswered):
			step.Passed, step.Text = true, x.answeredHere()
			return nil
		case err != nil:
			if s.name == "match" && c.endpoint != nil {
				x.matched()
			}
			step.Text = x.refusal(err).GetMessage()
			return err
		}
		step.Text = s.found()
	}
	return nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (x *explainer) matched() string {
	e := x.c.endpoint
	x.out.Endpoint, x.out.Pattern = e.Name, e.Path
	how := "the exact path"
	if !e.Exact {
		x.out.Pattern = strings.TrimRight(e.Path, "/") + "/*"
		how = "the longest prefix of the path"
	}
	which := "every method"
	if len(e.Methods) > 0 {
		which = strings.Join(e.Methods, ", ")
	}
	if e.Models == nil {
		x.out.Price = priceText(e)
	}
	return fmt.Sprintf("endpoint %s: %s is %s that an endpoint answers, and it answers %s", e.Name, x.out.GetPattern(), how, which)
}

// priceText is what an endpoint costs, in words.
func priceText(e *routing.Endpoint) string {
	switch {
	case e.Free:
		return "free"
	case e.Usage != nil:
		return "by use"
	case e.Plan != nil && e.Price == 0:
		return "by what is counted in requests and answers"
	case e.Plan != nil:
		return "$" + e.PriceText + " for each answer " + e.Charge.String() + " that conditions do not except"
	default:
		return "$" + e.PriceText + " for each answer " + e.Charge.String()
	}
}

// priced says what reads the request.
func (x *explainer) priced() string {
	c := x.c
	if c.ask != nil {
		return x.pricedBy(c.ask.usable())
	}
	switch p := c.plan; {
	case p == nil && c.free && !c.endpoint.Free && c.endpoint.Plan == nil:
		return "requests of method " + known(c.x.Method) + " are not charged"
	case p == nil && c.free:
		return "it costs nothing"
	case p == nil:
		return "it costs " + x.out.GetPrice()
	case p.meter == nil:
		return "no meter reads it: " + p.unread.Dollars() + " is charged, and it is marked as unpriced"
	case p.meter.Name == "":
		return "it costs " + x.out.GetPrice()
	default:
		x.out.Meter = p.meter.Name
		if c.free {
			return "meter " + p.meter.Name + " lets it pass for nothing"
		}
		return "meter " + p.meter.Name + " reads it"
	}
}

// hold reads the body that the question has, and holds what the request may cost.
func (x *explainer) hold(ctx context.Context) error {
	if err := x.c.readAhead(ctx); err != nil {
		return err
	}
	err := x.c.hold(ctx)
	p := x.c.plan
	if x.c.ask != nil {
		p = x.c.ask.dearest().plan
	}
	if p != nil {
		x.out.Model, x.out.HoldReason = clip(p.hold.Model, longestName), p.hold.Reason
	}
	return err
}

// authenticate takes the key that the question names for one that was presented.
func (x *explainer) authenticate(ctx context.Context) error {
	c := x.c
	if len(x.hash) == 0 {
		return c.authenticate(ctx)
	}
	if len(x.hash) != 32 {
		return fault.New(fault.KeyUnknown, "The hash of the key is none.")
	}
	key, ok := c.g.d.Keys.Lookup([32]byte(x.hash))
	if !ok {
		return admit.Unknown()
	}
	ask := c.askOfKey(key)
	if err := key.Check(&ask); err != nil {
		return err
	}
	c.key = key
	return nil
}

func (x *explainer) authenticated() string {
	if x.c.key.ID == "" {
		return "no key is needed: the endpoint is public"
	}
	text := fmt.Sprintf("key %s may call endpoint %s", x.c.key.Name, x.c.endpoint.Name)
	if networks := x.c.key.Networks(); networks != "" {
		text += ", from " + networks + " only"
	}
	return text
}

func (x *explainer) labeled() string {
	var parts []string
	if t := x.c.key.Team; t != "" {
		parts = append(parts, "team "+t)
	}
	if l := x.c.labels.customer; l != "" {
		parts = append(parts, "customer "+l)
	}
	if tags := x.c.labels.tags; len(tags) > 0 {
		parts = append(parts, "tags "+strings.Join(tags, ", "))
	}
	switch {
	case len(parts) > 0:
	case x.c.key.ID == "":
		return "charged to no key: what it costs is the endpoint's"
	default:
		return "charged to the key alone"
	}
	return "charged to " + strings.Join(parts, ", ")
}

// customer says what becomes of the customer, which nobody is told of by a question.
func (x *explainer) customer() string {
	name := x.c.labels.customer
	switch rules := x.c.table.Customers(); {
	case name == "":
		return "no customer is named"
	case x.c.isNew() && rules.WithBudget:
		return "customer " + name + " is new here: the request would wait until it has its budget"
	case x.c.isNew():
		return "customer " + name + " is created if it is new"
	default:
		return "charged to customer " + name
	}
}

func (x *explainer) body() string {
	if x.c.limit > 0 {
		return "at most " + bytesText(x.c.limit)
	}
	return "of any length"
}

func (x *explainer) limited() string {
	if n := len(x.c.limits()); n > 0 {
		return counted(n, "limit") + " let it pass"
	}
	return "it is within no limit"
}

func (x *explainer) held() string {
	c := x.c
	switch {
	case c.endpoint.Free:
		return "nothing is held: the endpoint is free"
	case c.free:
		return "nothing is held: the request is free"
	}
	x.out.Hold = contract.MoneyToProto(c.spend.pot.sum())
	budgets := len(c.spend.pot.held.Draws(nil))
	text := fmt.Sprintf("%s is held in %s", c.spend.pot.sum().Dollars(), counted(budgets, "budget"))
	if reason := x.out.GetHoldReason(); reason != "" {
		text += ", " + reason
	}
	if left, ok := c.remaining(0); ok {
		text += fmt.Sprintf("; the tightest has %s left", left.Dollars())
	}
	return text
}

// target finds out where the request would go, in the order in which targets would be tried.
func (x *explainer) target(context.Context) error {
	c := x.c
	states := c.g.d.Pools.Look(c.pool)
	first := -1
	var soonest time.Time
	for _, s := range states {
		t := &controlv1.ExplainedTarget{Url: s.Target, State: s.State}
		n, asked := s.Number, true
		if c.ask != nil {
			h := &c.ask.hops[n]
			if t.Notes = append(t.Notes, "deployment "+h.d.Name); h.err != nil {
				asked, t.Notes = false, append(t.Notes, "not asked: "+x.refusal(h.err).GetMessage())
			}
		}
		if first < 0 && asked && s.State != pool.Open {
			first = n
		}
		if c.pool.Targets[n].Transport.SkipVerify {
			t.Notes = append(t.Notes, "its certificate is not verified")
		}
		if !s.Until.IsZero() {
			t.Notes = append(t.Notes, "tried again at "+s.Until.UTC().Format(time.RFC3339))
			if soonest.IsZero() || s.Until.Before(soonest) {
				soonest = s.Until
			}
		}
		x.out.Targets = append(x.out.Targets, t)
	}
	if first < 0 {
		err := fault.New(fault.UpstreamUnavailable, "No target of endpoint %s is tried at present.", c.pool.Name)
		if !soonest.IsZero() {
			err = err.WithRetryAfter(time.Until(soonest))
		}
		return err
	}
	if c.ask != nil {
		x.deployed(first)
	} else {
		x.sent(first)
	}
	return nil
}

// sent describes the request to a target. Secrets are shown as the references that stand for them: it is
// prepared of an endpoint in which they were never put in.
func (x *explainer) sent(target int) {
	c := x.c
	masked := c.endpoint.Masked()
	real := c.endpoint
	c.endpoint = masked
	defer func() { c.endpoint = real }()
	credential := -1
	for i, cr := range masked.Credentials {
		if cr.Err == nil {
			credential, x.out.Credential = i, cr.Name
			break
		}
	}
	headers, uri, host := c.prepare(pool.NewChoice(masked, target, credential, func(pool.Result) {}), nil)
	t := masked.Targets[target]
	switch {
	case host != "":
	case masked.HostPolicy == eventv1.HostPolicy_HOST_POLICY_CALLER && c.x.Host == "":
		host = "(the caller's)" // the question has none
	default:
		host = t.Host
	}
	x.out.Host, x.out.Url = host, c.x.Method+" "+t.Scheme+"://"+t.Host+legible(uri, masked, credential)
	sent := map[string]bool{}
	for _, h := range headers {
		sent[strings.ToLower(h.Name)] = true
		x.out.Headers = append(x.out.Headers, &controlv1.ExplainedHeader{Name: h.Name, Value: h.Value, Origin: x.origin(masked, credential, h)})
	}
	for _, h := range x.signature(masked) {
		sent[strings.ToLower(h.GetName())] = true
		x.out.Headers = append(x.out.Headers, h)
	}
	for _, h := range c.x.Headers {
		if name := strings.ToLower(h.Name); !sent[name] {
			x.out.Headers = append(x.out.Headers, &controlv1.ExplainedHeader{Name: h.Name, Origin: "caller", Removed: x.whyLeftOut(h)})
		}
	}
}

// legible undoes the encoding of references in a query, which are shown and never sent.
func legible(uri string, e *routing.Endpoint, credential int) string {
	all := e.Query
	if credential >= 0 {
		all = slices.Concat(all, e.Credentials[credential].Query)
	}
	for _, q := range all {
		if strings.Contains(q.Source, "${") {
			uri = strings.ReplaceAll(uri, url.QueryEscape(q.Source), q.Source)
		}
	}
	return uri
}

// whyLeftOut says why a header of the caller is not sent, or not as the caller sent it.
func (x *explainer) whyLeftOut(h Header) string {
	e, name := x.c.endpoint, lower(h.Name)
	plain := dashed(name)
	switch {
	case hopByHop[plain] || connectionNames(x.c.x.Headers)[name]:
		return "it belongs to the connection"
	case strings.HasPrefix(plain, ownHeader):
		return "it is for the gateway"
	case forwarded(plain):
		return "it says where the caller is"
	case e.PassHeaders && strings.HasPrefix(plain, passPrefix):
		return "it is sent without its prefix, if it may be"
	case e.Signing != nil && signing.Replaces(plain):
		return "the signature for AWS takes its place"
	case overrides(e.Headers, plain):
		return "the endpoint sets or strips it"
	case !passes(kindOf(h.Name), e):
		return "the endpoint does not forward it"
	default:
		return "it holds a key of this gateway, or the endpoint or its credential replaces it"
	}
}

// origin says where a header that is sent comes from.
func (x *explainer) origin(e *routing.Endpoint, credential int, h Header) string {
	if credential >= 0 {
		for _, own := range e.Credentials[credential].Headers {
			if strings.EqualFold(own.Name, h.Name) {
				return "credential"
			}
		}
	}
	for _, own := range e.Headers {
		if strings.EqualFold(own.Name, h.Name) && own.Value == h.Value {
			return "endpoint"
		}
	}
	for _, theirs := range x.c.x.Headers {
		if strings.EqualFold(theirs.Name, h.Name) || strings.EqualFold(theirs.Name, "x-pass-"+h.Name) {
			return "caller"
		}
	}
	return "gateway"
}

func (x *explainer) chosen() string {
	if x.out.GetDeployment() != "" {
		text := "it would be sent to " + x.out.GetDeployment()
		if x.out.GetTranslation() != "" {
			text += ", translated from " + x.out.GetTranslation()
		}
		return text
	}
	return "it would be sent to " + x.out.GetTargets()[0].GetUrl()
}
