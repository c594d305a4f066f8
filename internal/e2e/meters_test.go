package e2e_test

import "testing"

// Guarantee: what calls cost is known exactly in a whole deployment, from the vendor's answer to the books: of templates
// and of prices of one's own, of streams however they end, of jobs whoever asks after them, within budgets, and while
// prices change. Each part says what; they share a deployment, and the last one kills a part of it.
func TestMeters(t *testing.T) {
	t.Parallel()
	c := start(t)
	for _, name := range []string{"openai", "replicate"} {
		c.does("secret", "create", name, "--value-file", c.file(name, []byte(credential)))
	}
	t.Run("at once", func(t *testing.T) {
		for name, part := range map[string]func(*cluster){
			"templates": templatesAreExact,
			"usage":     usageIsAskedFor,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				part(c.within(t))
			})
		}
	})
}
