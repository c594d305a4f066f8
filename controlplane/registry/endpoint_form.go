package registry

import (
	"encoding/json"
	"fmt"
)

// ReadEndpoint reads the JSON form of an endpoint, which the audit keeps, also one that an older version wrote: there, a target is no
// more than its URL.
func ReadEndpoint(raw []byte) (Endpoint, error) {
	type fields Endpoint
	form := struct {
		fields

		Targets []targetForm `json:"targets"`
	}{}
	if err := json.Unmarshal(raw, &form); err != nil {
		return Endpoint{}, fmt.Errorf("form of endpoint: %w", err)
	}
	e := Endpoint(form.fields)
	for _, t := range form.Targets {
		e.Targets = append(e.Targets, Target(t))
	}
	e.FillIn()
	return e, nil
}

// targetForm is a target, or the URL of one.
type targetForm Target

// UnmarshalJSON implements json.Unmarshaler.
func (t *targetForm) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, &t.URL)
	}
	return json.Unmarshal(raw, (*Target)(t))
}
