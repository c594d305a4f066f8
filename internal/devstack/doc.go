// Package devstack runs a whole Tollgate in one process: an embedded NATS server, a private
// PostgreSQL child, the control plane, the ledger and any number of edges, wired as they are on many
// machines but with short wires. It is how a newcomer and a developer run Tollgate; it is no way to
// run production, where each role is a process of its own.
package devstack
