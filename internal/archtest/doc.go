// Package archtest holds the rules that the shape of this repository follows, as tests. It has
// no code of its own to import: the rules are in its test files, each as a function over a list
// of packages or of sources, so that each is also tried on a small example that breaks it.
//
//   - imports_test.go: who may depend on whom.
//   - source_test.go: where SQL and RPC codes are written, and what tests may not do.
//   - form_test.go: package comments and the length of files.
//   - guarantees_test.go: tests that documents name exist.
//
// A rule that gets in the way is changed here, in the same commit as the code that needs it,
// with the reason. It is not worked around.
package archtest
