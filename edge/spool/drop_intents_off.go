//go:build !drop_intents

package spool

// dropIntents is false in every build that serves.
const dropIntents = false
