package filter

// Secrets are those of SecretService.
var Secrets = List{
	Title: "Secrets", Method: "SecretService.ListSecrets", Words: "the name and the description",
	Fields: []Field{
		{Name: "id", About: "Identifier of the secret."},
		{Name: "used", About: "Whether an endpoint, a model or an adapter refers to it.", Values: yesNo},
		{Name: "kind", About: "Whether its value is stored, or found by edges.", Values: []string{"stored", "reference"}},
		{Name: "managed", About: "Whether a file manages it.", Values: yesNo},
	},
	Orders: []string{"name", "create_time", "update_time"},
}

// Audit is the list of AuditService.
var Audit = List{
	Title: "Audit entries", Method: "AuditService.ListAuditEntries", Words: "the names of the object and of the actor",
	Fields: []Field{
		{Name: "kind", About: "Kind of the object, such as `endpoint` or `key`."},
		{Name: "object", About: "Name or identifier of the object."},
		{Name: "actor", About: "Who did it: an e-mail address, `token NAME`, `admin` or `system`."},
		{Name: "action", About: "What was done, such as `create`, `update`, `delete` or `rotate`."},
		{Name: "via", About: "By what.", Values: []string{"api", "cli", "console", "file", "litellm", "system"}},
		{Name: "address", About: "From which address."},
		{Name: "request_id", About: "Identifier of the call."},
	},
	Orders: []string{"time"},
}
