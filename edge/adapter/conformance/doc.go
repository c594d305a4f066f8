// Package conformance holds the translations against the tables that they were designed by: every row has a case in testdata, of a
// request, an answer or a stream that goes in, and of what has to come out or has to be refused. It sees translations as the gateway
// does, and nothing of how they are made, so that a change of one cannot change what it is measured by.
//
// It has no code of the product. Recordings of vendors and cases of single functions are tested beside what they test as well.
package conformance
