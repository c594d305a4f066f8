// Package clienttest has scripted targets, and says what the calling side of every engine has to do with those that speak
// HTTP/1.1. It promises that what holds for one engine's client is tried on all of them. It has callers for the tests of their servers,
// too. It is for tests alone, and knows nothing of HTTP/2 and upgrades, which one engine has.
package clienttest
