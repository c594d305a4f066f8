package registry

import (
	"fmt"
	"net/url"
	"strings"

	"tollgate/internal/money"
)

// Codes of notes, which are told while an endpoint is being written and not afterwards. They are part of the API.
const (
	WarnPathInside    = "path_inside"
	WarnTargetHasPath = "target_has_path"
	WarnPriceLarge    = "price_large"
	WarnDisabled      = "disabled"
	WarnOverBudget    = "price_over_budget"
)

// largePrice is more than what one request mostly costs.
const largePrice = 1000 * money.Dollar

// Notes is what may be meant otherwise than it is written.
func (e *Endpoint) Notes() (all []Warning) {
	for i, t := range e.Targets {
		u, err := url.Parse(t.URL)
		if err != nil || e.Exact {
			continue
		}
		if path := strings.TrimSuffix(u.Path, "/"); strings.Count(path, "/") > 1 {
			all = append(all, Warning{fmt.Sprintf("targets[%d].url", i), WarnTargetHasPath, fmt.Sprintf(
				"The target ends in %s. With everything below, %s/foo goes to %s/foo. Targets for a single purpose usually want the exact path.",
				clip(path), clip(strings.TrimSuffix(e.Path, "/")), clip(path))})
		}
	}
	if e.Price.PerRequest > largePrice {
		all = append(all, Warning{"price.fixed.per_request", WarnPriceLarge, fmt.Sprintf("%s per request? That is more than most requests cost.", e.Price.PerRequest.Dollars())})
	}
	if e.Disabled {
		all = append(all, Warning{"disabled", WarnDisabled, "It is switched off: its requests are refused until it is switched on."})
	}
	return all
}
