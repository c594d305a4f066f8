// Package admit decides who may call and with what money: keys are looked up by hash, and the price
// of a request is held in every budget it draws on, or in none. Money is spent only from what the
// ledger has granted to this edge before, so that any number of edges together cannot overspend a
// budget, whatever is lost, repeated or late between them and the ledger.
//
// It reaches no network and no disk: how the ledger is asked is its caller's business (Leaser), and
// so is the record on disk of what was held.
package admit
