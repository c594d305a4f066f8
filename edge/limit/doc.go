// Package limit holds requests to limits that apply to all edges together: requests a minute, units a
// minute, and requests at a time. Tokens of a rate are bought from the ledger a few at a time and are
// void a second after they were asked for; permits of a concurrency are held for as long as the
// ledger confirms them. So a limit is kept by any number of edges, whatever is lost, repeated or late
// between them and the ledger, and a request that finds tokens at hand waits for nobody.
//
// It reaches no network: how the ledger is asked is its caller's business (Asker).
package limit
