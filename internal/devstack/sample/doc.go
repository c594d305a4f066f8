// Package sample makes a developer's stack look like one that a company has used for a month: teams, people, keys, budgets and
// endpoints that are made through the API as everyone makes them, thirty days of spend that the ledger books as it books what
// edges send, and a little traffic that goes on while the stack runs.
//
// What it makes, it makes once: what is there already is left as it is. The spend follows from a fixed seed and from the time at
// which the first team was made, so that a start that was broken off goes on where it was, and nothing is booked twice.
package sample
