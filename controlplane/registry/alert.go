package registry

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"tollgate/internal/id"
)

// AlertChannel is where alerts are sent to, without its URL and what signs: whoever knows those can write there.
type AlertChannel struct {
	ID       string           `json:"id"`
	Name     string           `json:"name"`
	Kind     AlertChannelKind `json:"kind"`
	Host     string           `json:"host"`
	Events   []string         `json:"events"` // names of kinds of conditions, sorted
	Disabled bool             `json:"disabled,omitempty"`
	Created  time.Time        `json:"create_time"`
	Updated  time.Time        `json:"update_time"`
	Revision int64            `json:"revision"`
}

// AlertChannelKind is the form in which a channel takes alerts. The numbers are those of the protobuf enumeration.
type AlertChannelKind uint8

// The kinds.
const (
	AlertWebhook AlertChannelKind = iota + 1
	AlertSlack
)

// MostAlertChannels is how many there may be.
const MostAlertChannels = 50

// ETag changes with every write.
func (c *AlertChannel) ETag() string { return ETag(c.ID, c.Revision, c.Updated) }

// AlertChannelFacts are what is looked up to check a channel.
type AlertChannelFacts struct {
	NameTaken bool
	Others    int // channels beside it
}

// Check adds everything that is wrong with the channel to p, of which the URL is checked by itself.
func (c *AlertChannel) Check(p *Problems, facts AlertChannelFacts) {
	checkName(p, objectName, id.Channel, c.Name)
	if facts.NameTaken {
		p.Add("name", Taken, "There is a channel %q already.", clip(c.Name))
	}
	if facts.Others >= MostAlertChannels {
		p.Add("name", Range, "There are %d channels already, and no more are sent to.", MostAlertChannels)
	}
	c.Events = slices.Compact(slices.Sorted(slices.Values(c.Events)))
	if len(c.Events) == 0 {
		p.Add("events", Required, "Say what is to be told.")
	}
	if slices.Contains(c.Events, "alert_failing") {
		p.Add("events", Forbidden, "That alerts do not arrive is told by no alert: the overview shows it.")
	}
}

// CheckAlertURL adds what is wrong with where alerts are to be sent to p, never quoting it, and gives its host.
func CheckAlertURL(p *Problems, raw string) (host string) {
	if raw == "" {
		p.Add("url", Required, "Enter the URL to which alerts are sent.")
		return ""
	}
	switch code, reason := targetProblem(raw); code {
	case "":
	case TargetUserinfo:
		p.Add("url", code, "The URL has user info in it, which is not sent: use one that its receiver knows by its path or query.")
		return ""
	default:
		reason = strings.NewReplacer("The target's", "The URL's", "The target", "The URL", "A target", "A URL", "requests never go there", "alerts never go there").Replace(reason)
		p.Add("url", code, "%s", reason)
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

// Alert is what a channel is told. Its form of JSON is what webhooks get, so that it only ever grows.
type Alert struct {
	ID         string      `json:"id"`    // the same each time that it is sent
	Event      string      `json:"event"` // "begin", "end" or "test"
	Kind       string      `json:"kind"`  // "budget_exhausted"
	Severity   string      `json:"severity"`
	Sentence   string      `json:"sentence"`
	Figure     string      `json:"figure,omitempty"`
	Condition  string      `json:"condition,omitempty"` // what begins and ends; the same in both alerts
	Object     AlertObject `json:"object"`
	Since      time.Time   `json:"since"`
	Ended      *time.Time  `json:"ended,omitempty"`
	Time       time.Time   `json:"time"`
	Deployment string      `json:"deployment,omitempty"`
	Link       string      `json:"link,omitempty"` // of the console
}

// AlertObject is what an alert is about; empty for the deployment itself.
type AlertObject struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// What alerts tell of.
const (
	AlertBegin = "begin"
	AlertEnd   = "end"
	AlertTest  = "test"
)

// ForbiddenAddress says whether nobody may connect to an address, because it answers with a machine's credentials or no service can
// have it. Whoever connects to what a name stands for looks at this again.
func ForbiddenAddress(ip netip.Addr) bool { return forbiddenAddr(ip) }
