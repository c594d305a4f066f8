package http1

// PlainRequest is the head of a request that is vouched for, and why.
type PlainRequest struct {
	Why  string
	Head []byte
}

// PlainRequests are those of the cases, for tests that need another package of this module.
func PlainRequests() []PlainRequest {
	var out []PlainRequest
	for _, c := range requestCases {
		if c.verdict == Plain {
			out = append(out, PlainRequest{c.why, c.bytes()})
		}
	}
	return out
}
