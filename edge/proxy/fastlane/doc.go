// Package fastlane is the engine for plain HTTP/1.1 on connections that are kept: one goroutine serves a caller's connection from
// request to request and talks to the target itself, without handing anything to another one. It promises that a request which it
// serves means the same to every reader, that one which it will not vouch for reaches the general lane with every byte that was
// read of it, and that a connection on which nothing happens holds no buffer.
//
// It knows nothing of HTTP/2, upgrades and unusual forms of HTTP/1.1, which are the general lane's, package nethttp.
package fastlane
