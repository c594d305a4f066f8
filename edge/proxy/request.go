package proxy

import "tollgate/edge/pool"

// prepare makes what leaves for the target of a choice: the headers, the request target and the host.
func (c *call) prepare(ch *pool.Choice) (headers []Header, uri, host string) {
	headers = forTarget(c.x.Headers, c.endpoint, &c.found, c.isOurs)
	query := c.found.scrubQuery(c.query, c.isOurs)
	uri = ch.Target.RequestURI(c.rest, query)
	if c.bareQuery && ch.Target.BaseQuery == "" {
		uri += "?"
	}
	return headers, uri, configuredHost(c.endpoint)
}
