package routing

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"tollgate/edge/adapter"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
)

// What holds for adapters where the configuration says 0.
const (
	adapterTimeout  = 10 * time.Second
	adapterMaxBytes = 16 << 20
)

// models compiles the adapters of a snapshot, and the models, which refer to them.
func (c *compiler) models(t *Table, s *eventv1.RouteSnapshot) error {
	for _, from := range s.GetAdapters() {
		a, err := c.adapter(from)
		if err == nil && c.adapters[a.Name] != nil {
			err = errors.New("its name appears twice")
		}
		if err != nil {
			return fmt.Errorf("adapter %q: %w", from.GetName(), err)
		}
		c.adapters[a.Name] = a
		t.adapters = append(t.adapters, a)
		t.upstreams, t.destinations = append(t.upstreams, a.Upstream), append(t.destinations, a.Upstream)
	}
	names, ids := map[string]bool{}, map[string]bool{}
	for _, from := range s.GetModels() {
		m, err := c.model(from)
		if err == nil && ids[m.ID] {
			err = errTwice
		}
		if err == nil {
			err = t.addModel(m, names)
		}
		if err != nil {
			return fmt.Errorf("model %q: %w", from.GetName(), err)
		}
		ids[m.ID] = true
	}
	slices.SortFunc(t.models, func(a, b *Model) int { return strings.Compare(a.Name, b.Name) })
	// Of patterns with the same text before the "*", what is longer after it says more. Two that agree in both are one.
	slices.SortFunc(t.patterns, func(a, b *Model) int {
		return cmp.Or(len(b.before)-len(a.before), len(b.after)-len(a.after), strings.Compare(a.Name, b.Name))
	})
	return nil
}

// addModel refuses what would make a name stand for two models.
func (t *Table) addModel(m *Model, names map[string]bool) error {
	for i, name := range append([]string{m.Name}, m.Aliases...) {
		switch {
		case name == "":
			return errors.New("it has an empty name")
		case i > 0 && strings.Contains(name, "*"):
			return fmt.Errorf("alias %q has a %q in it", name, "*")
		case names[name]:
			return fmt.Errorf("%q is the name of two models", name)
		}
		names[name] = true
		if i > 0 || !m.pattern {
			t.names[name] = m
		}
	}
	if m.pattern {
		t.patterns = append(t.patterns, m)
	}
	t.models, t.upstreams = append(t.models, m), append(t.upstreams, m.Upstream)
	for _, d := range m.Deployments {
		t.destinations = append(t.destinations, d.Upstream)
	}
	return nil
}

func (c *compiler) adapter(from *eventv1.RouteAdapter) (*Adapter, error) {
	timeout, err := orMillis(from.GetTimeoutMs(), "timeout", adapterTimeout)
	switch {
	case err != nil:
		return nil, err
	case from.GetName() == "":
		return nil, errors.New("it has no name")
	case from.GetMaxBytes() < 0:
		return nil, errors.New("its largest message is negative")
	}
	e, err := c.upstream(from.GetUpstream(), "adapter "+from.GetName())
	if err != nil {
		return nil, err
	}
	return &Adapter{Name: from.GetName(), Upstream: e, Timeout: timeout, MaxBytes: cmp.Or(from.GetMaxBytes(), adapterMaxBytes)}, nil
}

// upstream compiles what requests are made of that no endpoint is asked for. Its bounds are those of the endpoint that is.
func (c *compiler) upstream(from *eventv1.RouteEndpoint, name string) (*Endpoint, error) {
	switch {
	case from == nil:
		return nil, errors.New("it does not say where it is")
	case from.GetModels() != nil:
		return nil, errors.New("it serves models itself")
	}
	from = proto.CloneOf(from)
	from.Path = "/" // nothing matches it
	e, err := c.endpoint(from)
	switch {
	case err != nil:
		return nil, err
	case len(e.Targets) != 1:
		return nil, fmt.Errorf("it has %d targets in place of one", len(e.Targets))
	case len(e.Credentials) > 0:
		return nil, errors.New("it has credentials that take turns")
	}
	e.Name, e.Accounts, e.Limits = name, nil, nil
	return e, nil
}

func (c *compiler) model(from *eventv1.RouteModel) (*Model, error) {
	m := &Model{ID: from.GetId(), Name: from.GetName(), Aliases: from.GetAliases(), Created: from.GetCreateUnix()}
	m.before, m.after, m.pattern = strings.Cut(m.Name, "*")
	switch n := len(from.GetDeployments()); {
	case m.ID == "":
		return nil, errors.New("it has no id")
	case strings.Contains(m.after, "*"):
		return nil, fmt.Errorf("its name has more than one %q in it", "*")
	case n == 0:
		return nil, errors.New("it has no deployment")
	case n > mostChoices:
		return nil, fmt.Errorf("it has more than %d deployments", mostChoices)
	}
	settings, err := newBreaker(from.GetBreaker())
	if err != nil {
		return nil, fmt.Errorf("breaker: %w", err)
	}
	m.Upstream = &Endpoint{ID: m.ID, Name: "model " + m.Name, Path: "/"}
	if err := resilience(m.Upstream, &eventv1.RouteEndpoint{
		Balance: from.GetBalance(), Retry: from.GetRetry(), Hedge: from.GetHedge(), Outlier: from.GetOutlier(),
	}); err != nil {
		return nil, err
	}
	usable, names := false, map[string]bool{}
	for _, rd := range from.GetDeployments() {
		d, err := c.deployment(m.Name, rd)
		if err == nil && names[d.Name] {
			err = errors.New("its name appears twice")
		}
		if err != nil {
			return nil, fmt.Errorf("deployment %q: %w", rd.GetName(), err)
		}
		names[d.Name] = true
		t := d.Upstream.Targets[0]
		t.Breaker, t.BreakerKey = settings, breakerKey(t.Name, settings)
		m.Upstream.Targets, m.Deployments = append(m.Upstream.Targets, t), append(m.Deployments, d)
		usable = usable || d.Err() == nil
	}
	if !usable {
		m.Upstream.fail(m.Deployments[0].Err())
	}
	return m, nil
}

func (c *compiler) deployment(model string, from *eventv1.RouteDeployment) (*Deployment, error) {
	d := &Deployment{Name: model + "/" + from.GetName(), Options: from.GetOptions(), model: from.GetModel()}
	if d.Options == nil {
		d.Options = &controlv1.VendorOptions{}
	}
	var err error
	if d.Schemas, err = schemas(from.GetSchemas()); err != nil {
		return nil, err
	}
	if d.Adapter, err = c.adapterOf(from.GetAdapter()); err != nil {
		return nil, err
	}
	switch {
	case from.GetName() == "":
		return nil, errors.New("it has no name")
	case len(d.Schemas) == 0 && d.Adapter == nil:
		return nil, errors.New("it does not say what its vendor understands")
	case strings.Count(d.model, "*") > 1:
		return nil, fmt.Errorf("its vendor's name of the model has more than one %q in it", "*")
	}
	d.Upstream, err = c.upstream(from.GetUpstream(), d.Name)
	return d, err
}

// adapterOf finds the adapter of a name; nil for none.
func (c *compiler) adapterOf(name string) (*Adapter, error) {
	if a := c.adapters[name]; a != nil || name == "" {
		return a, nil
	}
	return nil, fmt.Errorf("there is no adapter %q", name)
}

// serves reads how an endpoint serves models. Where its adapter cannot be called, it cannot be either.
func (c *compiler) serves(e *Endpoint, from *eventv1.RouteEndpoint) (err error) {
	in := from.GetModels()
	if in == nil {
		return nil
	}
	m := &Models{Default: in.GetDefaultModel()}
	if m.Adapter, err = c.adapterOf(in.GetAdapter()); err != nil {
		return err
	}
	if m.Schemas, err = schemas(in.GetSchemas()); err != nil {
		return err
	}
	switch {
	case m.Adapter != nil:
		e.fail(m.Adapter.Upstream.Err)
	case len(m.Schemas) == 0:
		m.Schemas = []adapter.Schema{adapter.Chat, adapter.Messages, adapter.Responses}
	}
	e.Models = m
	return nil
}

// schemas refuses those of a newer version: passed over, requests would be translated that need not be.
func schemas(list []controlv1.Schema) (out []adapter.Schema, err error) {
	for _, from := range list {
		switch s := adapter.Schema(from); s {
		case adapter.Chat, adapter.Messages, adapter.Responses:
			out = append(out, s)
		default:
			return nil, fmt.Errorf("schema %s is not known", from)
		}
	}
	return out, nil
}
