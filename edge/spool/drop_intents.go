//go:build drop_intents

package spool

// dropIntents keeps intents off the disk. Edges built so lose what was in flight when they are
// killed: they exist to show that the tests which kill edges would notice.
const dropIntents = true
