package proxy

import (
	"net/http"

	"tollgate/edge/adapter/list"
	"tollgate/internal/fault"
)

// list answers which models there are, as far as the key may ask for them. Nobody else is asked, and it costs nothing.
func (a *ask) list() error {
	body, err := a.listed()
	if err != nil {
		return err
	}
	return a.answer(body)
}

// answer answers a request for which nobody else is asked. It says so as an error that ends the stages.
func (a *ask) answer(body []byte, more ...Header) error {
	c := a.c
	headers := append(c.ownHeaders(c.lines), c.requestIDHeader(a.schema), jsonContent)
	c.begin(http.StatusOK, append(headers, more...), int64(len(body)))
	if c.x.Method != http.MethodHead {
		_, _ = c.x.Out.Write(body) // a caller who is gone needs no answer
	}
	return errAnswered
}

func (a *ask) listed() ([]byte, error) {
	c := a.c
	if a.op == opList {
		body, wrong := list.All(a.schema, list.Of(c.table.Models(), c.key.MayAsk), c.query)
		if wrong != nil {
			return nil, wrong
		}
		return body, nil
	}
	m, _, ok := c.table.Model(a.one)
	if !ok || !c.key.MayAsk(a.one) {
		return nil, fault.New(fault.ModelNotFound, "There is no model %q that the key may ask for.", clip(a.one, longestName))
	}
	return list.One(a.schema, list.Entry{ID: a.one, Created: m.Created}), nil
}
