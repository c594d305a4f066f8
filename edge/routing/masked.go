package routing

// Masked is a copy of the endpoint in which configured values stand as they were written, with their
// references in place of secrets, so that it can be shown what would be sent.
func (e *Endpoint) Masked() *Endpoint {
	out := *e
	out.Headers, out.Query, out.Credentials = maskedHeaders(e.Headers), maskedQuery(e.Query), nil
	out.Signing = e.Signing.masked()
	for _, c := range e.Credentials {
		masked := *c
		masked.Headers, masked.Query = maskedHeaders(c.Headers), maskedQuery(c.Query)
		out.Credentials = append(out.Credentials, &masked)
	}
	return &out
}

func maskedHeaders(list []Header) []Header {
	out := make([]Header, len(list))
	for i, h := range list {
		h.Value = h.Source
		out[i] = h
	}
	return out
}

func maskedQuery(list []Query) []Query {
	out := make([]Query, len(list))
	for i, q := range list {
		q.Value = q.Source
		out[i] = q
	}
	return out
}
