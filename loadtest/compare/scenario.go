package main

import (
	"tollgate/loadtest/compare/load"
	"tollgate/loadtest/compare/vendor"
)

// scenario is one kind of traffic.
type scenario struct {
	name  string
	title string
	unit  string   // what is counted: request, event, message
	each  int      // how many of them there are in what the load counts; 0 is 1
	path  string   // first segment of it
	what  string   // of the vendor
	tls   bool     // callers speak TLS
	job   load.Job // without what depends on the proxy
}

// How much is under way at a time.
const (
	connections       = 64
	uploadConnections = 16
	pacedStreams      = 100
	fastStreams       = 16
	h2Connections     = 8
	h2AtOnce          = 8
)

const (
	requestBytes = 1 << 10
	uploadBytes  = 1 << 20
)

// Names of scenarios that have more to them than turns.
const (
	plainJSON = "json-1k"
	silent    = "silent"
	latency   = "latency"
	features  = "features"
)

var scenarios = []scenario{
	// First, while the processes are new: they keep memory of what they did before.
	{
		name: silent, title: "Memory of a stream that is open and silent", path: full, what: vendor.Silent,
		job: load.Job{Kind: load.Silent, Body: requestBytes},
	},
	{
		name: plainJSON, title: "JSON, 1 KB answered by 1.5 KB", unit: "request", path: full, what: vendor.Small,
		job: load.Job{Kind: load.Closed, Connections: connections, Body: requestBytes},
	},
	{
		name: "json-100k", title: "JSON, 1 KB answered by 100 KB", unit: "request", path: full, what: vendor.Large,
		job: load.Job{Kind: load.Closed, Connections: connections, Body: requestBytes},
	},
	{
		name: "events", title: "100 streams with an event each 5 ms", unit: "event", each: vendor.Events, path: full, what: vendor.Paced,
		job: load.Job{Kind: load.Closed, Connections: pacedStreams, Body: requestBytes},
	},
	{
		name: "events-at-once", title: "100 events without a pause", unit: "event", each: vendor.Events, path: full, what: vendor.AtOnce,
		job: load.Job{Kind: load.Closed, Connections: fastStreams, Body: requestBytes},
	},
	{
		name: "websocket", title: "WebSocket, 120 bytes there and back", unit: "message", path: full, what: vendor.Socket,
		job: load.Job{Kind: load.Socket, Connections: connections},
	},
	{
		name: "upload", title: "Upload of 1 MB", unit: "request", path: full, what: vendor.Upload,
		job: load.Job{Kind: load.Closed, Connections: uploadConnections, Body: uploadBytes},
	},
	{
		name: "tls", title: "JSON, TLS to the caller", unit: "request", path: full, what: vendor.Small, tls: true,
		job: load.Job{Kind: load.Closed, Connections: connections, Body: requestBytes},
	},
	{
		name: "tls-both", title: "JSON, TLS on both sides", unit: "request", path: secure, what: vendor.Small, tls: true,
		job: load.Job{Kind: load.Closed, Connections: connections, Body: requestBytes},
	},
	{
		name: "h2", title: "JSON, HTTP/2 to the caller", unit: "request", path: full, what: vendor.Small, tls: true,
		job: load.Job{Kind: load.Streams, Connections: h2Connections, AtOnce: h2AtOnce, Body: requestBytes},
	},
	{
		name: latency, title: "Latency of JSON at a fixed rate", path: full, what: vendor.Small,
		job: load.Job{Kind: load.Open, Body: requestBytes},
	},
	{
		name: features, title: "What each feature costs, JSON", unit: "request", path: full, what: vendor.Small,
		job: load.Job{Kind: load.Closed, Connections: connections, Body: requestBytes},
	},
}

func scenarioNames() []string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return names
}
