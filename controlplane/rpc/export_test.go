package rpc

// TopOf is topOf, for tests.
var TopOf = topOf
