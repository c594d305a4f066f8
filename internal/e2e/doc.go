// Package e2e holds the tests of the whole system: PostgreSQL, nats-server and every role as separate
// processes, a vendor that counts, faults by kill -9. It promises that what docs/architecture.md
// guarantees is shown on real components; rules of single packages are tested where they are.
package e2e
