// Package simulation runs whole deployments in one goroutine, with one seed deciding everything that
// happens: which message is lost, repeated or late, who is killed, which commit fails, what the clock
// says. Edges are the product's own books, spools and limits; ledgers are the product's own rules and
// codecs on a database and a stream in memory.
//
// It shows that no budget is overspent, that every settlement is booked once, and that what is left can
// be spent, and it shows that it would notice: each known way to get the protocol wrong is planted at a
// seam outside the product's code and has to be found in every run. It says nothing about speed, and
// nothing about PostgreSQL, NATS or the kernel, which the tests of their packages and the whole-system
// tests kill for real.
package simulation
