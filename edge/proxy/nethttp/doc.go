// Package nethttp is the general engine of an edge: it makes exchanges of what net/http reads from callers,
// and performs attempts with its Transport. It speaks HTTP/1.1 and HTTP/2, refuses requests that two
// servers could read differently, and connects only to addresses that an edge may reach.
//
// It holds no rule about keys, money or routes: those are the stages of package proxy, of which it knows
// only what an exchange and an attempt are.
package nethttp
