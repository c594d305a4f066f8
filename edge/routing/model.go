package routing

import (
	"tollgate/edge/adapter"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Models says how an endpoint serves models in place of targets.
type Models struct {
	Schemas []adapter.Schema // that callers may speak; never empty, unless Adapter is set
	Adapter *Adapter         // translates what callers send into Chat Completions; nil for none
	Default string           // model of requests that name none, or one that nobody knows; empty for none
}

// Model is a name that callers ask for and the deployments behind it. It never changes.
type Model struct {
	ID          string
	Name        string // with at most one "*"
	Aliases     []string
	Created     int64 // Unix seconds
	Deployments []*Deployment
	// Upstream has a target for each deployment, in the same order, and how one of them is chosen, tried again and left alone. It
	// has nothing else of an endpoint.
	Upstream *Endpoint
}

// Deployment is a model of a vendor. It never changes.
type Deployment struct {
	Name    string // "MODEL/DEPLOYMENT"
	Schemas []adapter.Schema
	Adapter *Adapter // translates Chat Completions for it; nil for none
	Options *controlv1.VendorOptions
	// Upstream is what a request to it is made of: its one target, headers, query, price and timeout.
	Upstream *Endpoint

	model string // the vendor's name; empty for the one that was asked for
}

// Adapter is a server that translates.
type Adapter struct {
	Name     string
	Upstream *Endpoint // its one target, and headers of requests to it
	Timeout  int64     // nanoseconds for one translation or one event
	MaxBytes int64
}

// Model finds the model that a name stands for: the one that has it as its name or alias, or else the one whose pattern it fits
// with the longest text before the "*". wild is what the "*" stood for.
func (t *Table) Model(name string) (m *Model, wild string, ok bool) {
	return nil, "", false
}

// Models is every model, by name. It is not to be changed.
func (t *Table) Models() []*Model { return nil }

// Vendor is the vendor's name of the model for a request that asked for a name, of which wild is what a "*" stood for.
func (d *Deployment) Vendor(asked, wild string) string { return "" }
