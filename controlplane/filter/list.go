package filter

import (
	"slices"
	"strings"
)

// List is what a list of the API can be filtered by and in which orders it comes.
type List struct {
	Title  string // "Keys"
	Method string // "KeyService.ListKeys"
	Words  string // what a word without a field is looked for in: "the name"
	Fields []Field
	Orders []string // names of fields, the default first; each also the other way round
}

// Field is something to filter by.
type Field struct {
	Name   string
	About  string   // a sentence for the reference
	Values []string // which there are; none if any text will do
}

// yesNo are the values of a field that is so or is not.
var yesNo = []string{"yes", "no"}

func (l *List) fieldNames() string {
	names := make([]string, len(l.Fields))
	for i, f := range l.Fields {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}

// Order reads order_by: a name of l.Orders, and whether it is the other way round. Empty means the default.
func (l *List) Order(orderBy string) (name string, descending bool, err error) {
	if orderBy == "" {
		return l.Orders[0], false, nil
	}
	name, descending = strings.CutPrefix(orderBy, "-")
	if !slices.Contains(l.Orders, name) {
		return "", false, refuse("order_by", UnknownOrder, "%s cannot be ordered by %q. There are: %s, each with - before it for the other way round.",
			l.Title, clip(name), strings.Join(l.Orders, ", "))
	}
	return name, descending, nil
}

// Lists are all lists that are filtered in this language, as the reference shows them.
func Lists() []*List {
	return []*List{&Keys, &Teams, &Budgets, &Limits, &Customers, &Tags, &Secrets, &Audit, &People, &Endpoints, &Models, &Adapters}
}

// Keys are those of KeyService.
var Keys = List{
	Title: "Keys", Method: "KeyService.ListKeys", Words: "the name",
	Fields: []Field{
		{Name: "id", About: "Identifier of the key."},
		{Name: "last4", About: "Last four characters of the secret that holds, or of the old one."},
		{Name: "team", About: "Name or identifier of the team; `none` for keys without one."},
		{Name: "endpoint", About: "Name or identifier of an endpoint that the key may call, also because it may call every one."},
		{Name: "customer", About: "Customer that its requests are charged to."},
		{Name: "tag", About: "One of its tags."},
		{Name: "model", About: "One of its models, as it is written there."},
		{Name: "status", About: "Whether it may be used.", Values: []string{"active", "rotating", "expiring", "expired", "blocked", "revoked"}},
		{Name: "managed", About: "Whether a file manages it.", Values: yesNo},
	},
	Orders: []string{"name", "create_time", "expire_time"},
}

// Teams are those of TeamService.
var Teams = List{
	Title: "Teams", Method: "TeamService.ListTeams", Words: "the name",
	Fields: []Field{
		{Name: "id", About: "Identifier of the team."},
		{Name: "member", About: "E-mail address or identifier of a person who belongs to it."},
		{Name: "blocked", About: "Whether its keys are refused.", Values: yesNo},
		{Name: "managed", About: "Whether a file manages it.", Values: yesNo},
	},
	Orders: []string{"name", "create_time"},
}
