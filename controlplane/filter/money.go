package filter

// scoped are the fields of what applies to a key, a team, a customer, a tag, an endpoint or everything.
var scoped = []Field{
	{Name: "id", About: "Identifier."},
	{Name: "scope", About: "What it applies to.", Values: []string{"everything", "key", "team", "customer", "tag", "endpoint"}},
	{Name: "key", About: "Name or identifier of the key that it applies to."},
	{Name: "team", About: "Name or identifier of the team that it applies to."},
	{Name: "customer", About: "Customer that it applies to."},
	{Name: "tag", About: "Tag that it applies to."},
	{Name: "endpoint", About: "Name or identifier of the endpoint that it applies to."},
	{Name: "managed", About: "Whether a file manages it.", Values: yesNo},
}

// Budgets are those of BudgetService. How they stand is the ledger's to say, and nothing to filter by.
var Budgets = List{
	Title: "Budgets", Method: "BudgetService.ListBudgets", Words: "the name",
	Fields: append([]Field{
		{Name: "period", About: "How often it starts anew.", Values: []string{"total", "hour", "day", "week", "month", "rolling"}},
		{Name: "enforcement", About: "What it does to requests for which it has too little left.", Values: []string{"hard", "soft"}},
	}, scoped...),
	Orders: []string{"name", "create_time", "update_time"},
}

// Limits are those of LimitService.
var Limits = List{
	Title: "Limits", Method: "LimitService.ListLimits", Words: "the name",
	Fields: append([]Field{
		{Name: "kind", About: "What it bounds.", Values: []string{"requests", "units", "concurrent"}},
	}, scoped...),
	Orders: []string{"name", "create_time", "update_time"},
}

// Customers are those of CustomerService.
var Customers = List{
	Title: "Customers", Method: "CustomerService.ListCustomers", Words: "the name and the name for people",
	Fields: []Field{
		{Name: "blocked", About: "Whether its requests are refused.", Values: yesNo},
		{Name: "first_sight", About: "Whether it was created when a request named it.", Values: yesNo},
		{Name: "managed", About: "Whether a file manages it.", Values: yesNo},
	},
	Orders: []string{"name"},
}

// Tags are those of TagService.
var Tags = List{
	Title: "Tags", Method: "TagService.ListTags", Words: "the name and the description",
	Fields: []Field{
		{Name: "used", About: "Whether a key, a budget or a limit has it.", Values: yesNo},
		{Name: "managed", About: "Whether a file manages its description.", Values: yesNo},
	},
	Orders: []string{"name"},
}
