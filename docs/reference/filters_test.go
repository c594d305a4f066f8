package reference_test

import (
	"fmt"
	"strings"
	"testing"

	"tollgate/controlplane/filter"
)

// Guarantee: the page on filters has every list that can be filtered, with its fields, their values and its orders.
func TestFilters(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`# Filters

Lists of the API, of the command line (` + "`--filter`" + `) and of the console are filtered in one small language: words separated by spaces, all of which must hold.

| You write | It holds for |
|---|---|
| ` + "`bria`" + ` | what has this text in its name, in upper or lower case |
| ` + "`status:active`" + ` | what has this value in this field |
| ` + "`status:active,rotating`" + ` | what has one of these values |
| ` + "`-team:research`" + ` | what has another value, or none |
| ` + "`tag:\"two words\"`" + ` | a value with spaces or commas in it; \" and \\\\ stand for a quote and a backslash in quotes |

A field that the list does not have is refused with the violation ` + "`filter_field`" + `, which names those that there are, and a value that a field cannot have with ` + "`filter_value`" + `.
` + "`order_by`" + ` names a field to order by, with ` + "`-`" + ` before it for the other way round. A page token is of use with the filter and the order that it comes from only.
`)
	for _, l := range filter.Lists() {
		fmt.Fprintf(&b, "\n## %s\n\n`%s`; a word is looked for in %s. Orders: `%s`.\n\n| Field | What it is | Values |\n|---|---|---|\n",
			l.Title, l.Method, l.Words, strings.Join(l.Orders, "`, `"))
		for _, f := range l.Fields {
			values := "any text"
			if len(f.Values) > 0 {
				values = "`" + strings.Join(f.Values, "`, `") + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, f.About, values)
		}
	}
	fresh(t, "filters.md", b.String())
}
