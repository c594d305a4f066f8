package attention

import (
	"fmt"
	"strings"
	"time"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

const (
	expiresSoon = 7 * 24 * time.Hour // as the status of keys has it
	expiresNow  = 3 * 24 * time.Hour
)

// ofKeys finds keys that expire soon.
func ofKeys(expiring []registry.Key, now time.Time) []Item {
	all := make([]Item, 0, len(expiring))
	for _, k := range expiring {
		i := Item{
			Kind: KeyExpiring, Severity: Info, ObjectKind: "key", ObjectID: k.ID, ObjectName: k.Name, TeamID: k.TeamID, Team: k.Team,
			Verb: "Renew", Since: k.Expires.Add(-expiresSoon),
		}
		left := k.Expires.Sub(now)
		if left <= expiresNow {
			i.Severity = Warning
		}
		i.Figure = span(left)
		i.Sentence = fmt.Sprintf("Key %s expires in %s.", k.Name, i.Figure)
		if i.Since.Before(k.Created) {
			i.Since = k.Created
		}
		all = append(all, i)
	}
	return all
}

// span is a time in its largest unit, rounded down.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return count(int64(d/day), "day")
	case d >= time.Hour:
		return count(int64(d/time.Hour), "hour")
	default:
		return count(max(int64(d/time.Minute), 1), "minute")
	}
}

// ofEndpoints finds endpoints that nobody has given a price.
func ofEndpoints(unpriced []registry.Endpoint) []Item {
	all := make([]Item, 0, len(unpriced))
	for _, e := range unpriced {
		all = append(all, Item{
			Kind: NoPrice, Severity: Info, ObjectKind: "endpoint", ObjectID: e.ID, ObjectName: e.Name, Verb: "Price", Since: e.Created,
			Sentence: fmt.Sprintf("Endpoint %s has no price: its requests cost nothing. Give it one, or say that it is free.", e.Name),
		})
	}
	return all
}

// ofDrift finds objects that are not as their file says.
func ofDrift(drift []*controlv1.Drift) []Item {
	all := make([]Item, 0, len(drift))
	for _, d := range drift {
		kind := strings.ReplaceAll(d.GetKind(), "_", " ")
		i := Item{Kind: Drift, Severity: Info, ObjectKind: d.GetKind(), ObjectID: d.GetName(), ObjectName: d.GetName(), Part: d.GetKind(), Verb: "View"}
		what := "was changed since it was applied"
		if d.GetDeleted() {
			what = "was deleted since it was applied"
		}
		if d.GetActor() != "" {
			what += ", by " + d.GetActor()
		}
		i.Sentence = fmt.Sprintf("The %s %s is managed by %s and %s.", kind, d.GetName(), d.GetOwner(), what)
		if d.GetTime() != nil {
			i.Since = d.GetTime().AsTime()
		}
		all = append(all, i)
	}
	return all
}

// ofChannels finds channels that alerts do not arrive at.
func ofChannels(failing []store.FailingAlertChannel) []Item {
	all := make([]Item, 0, len(failing))
	for _, c := range failing {
		all = append(all, Item{
			Kind: AlertFailing, Severity: Warning, ObjectKind: "alert", ObjectID: c.ID, ObjectName: c.Name, Verb: "Fix", Since: c.Since,
			Sentence: fmt.Sprintf("Alerts to %s do not arrive: %s", c.Name, sentence(c.Error)),
		})
	}
	return all
}
