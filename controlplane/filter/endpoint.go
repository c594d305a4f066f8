package filter

// Endpoints are those of EndpointService.
var Endpoints = List{
	Title: "Endpoints", Method: "EndpointService.ListEndpoints", Words: "the name and the description",
	Fields: []Field{
		{Name: "id", About: "Identifier of the endpoint."},
		{Name: "path", About: "What its path begins with."},
		{Name: "target", About: "Text in the URL of one of its targets."},
		{Name: "price", About: "What kind of price it has; `none` if nobody has said that it is free and it costs nothing.", Values: []string{"none", "free", "fixed", "meters", "usage", "reported", "models"}},
		{Name: "public", About: "Whether callers need no key.", Values: yesNo},
		{Name: "disabled", About: "Whether it is switched off.", Values: yesNo},
		{Name: "model", About: "Its default model; `any` for every endpoint that serves models."},
		{Name: "secret", About: "Name of a secret that it refers to."},
		{Name: "managed", About: "Whether a file manages it.", Values: yesNo},
	},
	Orders: []string{"name", "path", "create_time", "update_time"},
}

// Models are those of ModelService.
var Models = List{
	Title: "Models", Method: "ModelService.ListModels", Words: "the name",
	Fields: []Field{
		{Name: "id", About: "Identifier of the model."},
		{Name: "alias", About: "One of its aliases."},
		{Name: "target", About: "Text in the URL of one of its deployments."},
		{Name: "secret", About: "Name of a secret that it refers to."},
		{Name: "managed", About: "Whether a file manages it.", Values: yesNo},
	},
	Orders: []string{"name", "create_time", "update_time"},
}

// Adapters are those of AdapterService.
var Adapters = List{
	Title: "Adapters", Method: "AdapterService.ListAdapters", Words: "the name",
	Fields: []Field{
		{Name: "id", About: "Identifier of the adapter."},
		{Name: "target", About: "Text in its URL."},
		{Name: "used", About: "Whether an endpoint or a model refers to it.", Values: yesNo},
		{Name: "managed", About: "Whether a file manages it.", Values: yesNo},
	},
	Orders: []string{"name", "create_time", "update_time"},
}
