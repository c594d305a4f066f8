package routing

import (
	"slices"
	"strings"
	"time"

	"tollgate/edge/adapter"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Models says how an endpoint serves models in place of targets.
type Models struct {
	Schemas []adapter.Schema // that callers may speak; never empty, unless Adapter is set
	Adapter *Adapter         // translates what callers send into Chat Completions; nil for none
	Default string           // model of requests that name none, or one that nobody knows; empty for none
}

// Speaks says whether callers may use a schema.
func (m *Models) Speaks(s adapter.Schema) bool { return slices.Contains(m.Schemas, s) }

// Model is a name that callers ask for and the deployments behind it. It never changes.
type Model struct {
	ID          string
	Name        string // with at most one "*"
	Aliases     []string
	Created     int64 // Unix seconds
	Deployments []*Deployment
	// Upstream has a target for each deployment, in the same order, and how one of them is chosen, tried again and left alone. It
	// has nothing else of an endpoint, but Err where none of the deployments can be called on this edge. Its name is "model NAME",
	// which that of no endpoint is.
	Upstream *Endpoint

	before, after string // what stands around the "*"
	pattern       bool   // there is one
}

// Pattern says whether the name has a "*" that stands for any text.
func (m *Model) Pattern() bool { return m.pattern }

// Deployment is a model of a vendor. It never changes.
type Deployment struct {
	Name    string // "MODEL/DEPLOYMENT"
	Schemas []adapter.Schema
	Adapter *Adapter                 // translates Chat Completions for it; nil for none
	Options *controlv1.VendorOptions // never nil
	// Upstream is what a request to it is made of: its one target, headers, query, price and timeout.
	Upstream *Endpoint

	model string // the vendor's name; empty for the one that was asked for
}

// Adapter is a server that translates.
type Adapter struct {
	Name     string
	Upstream *Endpoint     // its one target, and headers of requests to it
	Timeout  time.Duration // for one translation or one event
	MaxBytes int64         // of a message to it, and from it
}

// Model finds the model that a name stands for: the one that has it as its name or alias, or else the one whose pattern it fits
// with the longest text before the "*". wild is what the "*" stood for; for an alias of a pattern it is the alias.
func (t *Table) Model(name string) (m *Model, wild string, ok bool) {
	if m, ok = t.names[name]; ok {
		if m.pattern {
			wild = name
		}
		return m, wild, true
	}
	if name == "" {
		return nil, "", false
	}
	for _, m := range t.patterns {
		if len(name) >= len(m.before)+len(m.after) && strings.HasPrefix(name, m.before) && strings.HasSuffix(name, m.after) {
			return m, name[len(m.before) : len(name)-len(m.after)], true
		}
	}
	return nil, "", false
}

// Models is every model, by name. It is not to be changed.
func (t *Table) Models() []*Model { return t.models }

// Adapters is every adapter. It is not to be changed.
func (t *Table) Adapters() []*Adapter { return t.adapters }

// Upstreams is everything of which one of several targets is chosen, or one is left alone when it fails: endpoints that have
// targets and are not switched off, models and adapters. It is not to be changed.
func (t *Table) Upstreams() []*Endpoint { return t.upstreams }

// Destinations is everything that requests are sent to: endpoints that have targets, deployments and adapters. It is not to be
// changed.
func (t *Table) Destinations() []*Endpoint { return t.destinations }

// Vendor is the vendor's name of the model for a request that asked for a name, of which wild is what a "*" stood for.
func (d *Deployment) Vendor(asked, wild string) string {
	if d.model == "" {
		return asked
	}
	return strings.Replace(d.model, "*", wild, 1)
}

// Err says why the deployment cannot be called on this edge; nil if it can.
func (d *Deployment) Err() error {
	if d.Upstream.Err == nil && d.Adapter != nil {
		return d.Adapter.Upstream.Err
	}
	return d.Upstream.Err
}
