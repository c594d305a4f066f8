// Package conformance is what a gateway must do with bytes, as data, and the player that shows whether
// one does. The files of testdata hold the cases; testdata/README.md explains how they are written. A
// case is played over raw sockets on both sides: a caller in front of the gateway, over HTTP/1.1 or
// HTTP/2, with and without TLS, and vendors behind it that do exactly what the case says, when it says.
//
// The player knows no gateway: it is handed one as a Gateway, so that another engine can be held to the
// same files. What it cannot see from outside, such as memory or what was written to disk, is not its
// subject; coverage.txt says which tests show that.
package conformance
