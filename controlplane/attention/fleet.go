package attention

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tollgate/controlplane/fleet"
	"tollgate/internal/contract"
)

// From when on what edges tell of themselves is worth a line: everything takes its time, and nobody wants to hear of what mends itself
// before it can be looked at.
const (
	behindAfter     = 10 * time.Second
	spoolOldAfter   = time.Minute
	spoolWorryAfter = 10 * time.Minute
	spoolFull       = 80 // percent
)

// published tells when a revision was published; zero where that is not known.
type published func(revision int64) time.Time

// ofFleet finds what is wrong with edges. Behind remembers since when edges are, where nothing else tells.
func ofFleet(nodes []fleet.Node, newest contract.Version, at published, behind map[string]time.Time, now time.Time) []Item {
	var all []Item
	var heard []fleet.Node
	for _, n := range nodes {
		if n.Status != fleet.Silent {
			heard = append(heard, n)
		}
	}
	late := map[string]bool{}
	for _, n := range nodes {
		edge := Item{ObjectKind: "edge", ObjectID: n.GetEdge(), ObjectName: n.GetEdge(), Verb: "View"}
		switch {
		case n.Status == fleet.Silent && n.GetDraining():
			// It was taken out of service before it went.
		case n.Status == fleet.Silent:
			i := edge
			i.Kind, i.Severity, i.Since = EdgeSilent, Warning, n.LastSeen
			i.Sentence = fmt.Sprintf("Edge %s is not heard. It may still be serving revision %d.", n.GetEdge(), n.GetRevision())
			if len(heard) == 0 {
				i.Severity = Critical
			}
			all = append(all, i)
		case n.Status == fleet.Behind:
			late[n.GetEdge()] = true
			if i, ok := ofBehind(edge, n, newest, at, behind, now); ok {
				all = append(all, i)
			}
		}
		if i, ok := ofSpool(edge, n, now); ok && n.Status != fleet.Silent {
			all = append(all, i)
		}
	}
	maps.DeleteFunc(behind, func(edge string, _ time.Time) bool { return !late[edge] })
	all = append(all, ofTargets(heard)...)
	return append(all, ofSecrets(heard)...)
}

func ofBehind(i Item, n fleet.Node, newest contract.Version, at published, behind map[string]time.Time, now time.Time) (Item, bool) {
	same := n.GetEpoch() == newest.Epoch
	if same {
		i.Since = at(n.GetRevision() + 1)
	}
	if i.Since.IsZero() {
		if _, ok := behind[n.GetEdge()]; !ok {
			behind[n.GetEdge()] = now
		}
		i.Since = behind[n.GetEdge()]
	}
	if now.Sub(i.Since) < behindAfter {
		return i, false
	}
	i.Kind, i.Severity = EdgeBehind, Warning
	i.Sentence = fmt.Sprintf("Edge %s serves the configuration before the database was restored.", n.GetEdge())
	if same {
		i.Figure = count(newest.Revision-n.GetRevision(), "revision")
		i.Sentence = fmt.Sprintf("Edge %s is %s behind: it serves %d, and %d is published.", n.GetEdge(), i.Figure, n.GetRevision(), newest.Revision)
	}
	return i, true
}

func ofSpool(i Item, n fleet.Node, now time.Time) (Item, bool) {
	age := time.Duration(n.GetSpoolAgeMs()) * time.Millisecond
	full := n.GetSpoolPercent() >= spoolFull
	if n.GetSpoolEvents() == 0 || age < spoolOldAfter && !full {
		return i, false
	}
	i.Kind, i.Severity, i.Since = SpoolOld, Warning, n.LastSeen.Add(-age)
	if i.Since.After(now) {
		i.Since = now
	}
	i.Figure = count(n.GetSpoolEvents(), "charge")
	i.Sentence = fmt.Sprintf("Edge %s holds %s that the ledger does not have yet. Nothing is lost; totals and budgets lag.", n.GetEdge(), i.Figure)
	if full {
		i.Sentence = fmt.Sprintf("The disk space of edge %s for charges is used by %d %%: when it is full, requests that cost something are refused.", n.GetEdge(), n.GetSpoolPercent())
	}
	if full || age >= spoolWorryAfter {
		i.Severity = Critical
	}
	return i, true
}

// trouble says whether edges send no requests to a target in this state, or only to see whether it is well.
func trouble(state string) bool { return state != "ok" && state != "" }

// ofTargets gives a line to each endpoint or model of which a target is in trouble anywhere.
func ofTargets(heard []fleet.Node) []Item {
	type standing struct {
		failing map[string]bool // targets
		edges   map[string]bool // that have trouble
		well    bool            // some target is, somewhere
	}
	all := map[string]*standing{}
	for _, n := range heard {
		for _, t := range n.GetTargets() {
			s := all[t.GetEndpoint()]
			if s == nil {
				s = &standing{failing: map[string]bool{}, edges: map[string]bool{}}
				all[t.GetEndpoint()] = s
			}
			if trouble(t.GetState()) {
				s.failing[t.GetTarget()], s.edges[n.GetEdge()] = true, true
			} else {
				s.well = true
			}
		}
	}
	var out []Item
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		if len(s.failing) == 0 {
			continue
		}
		i := Item{Kind: BreakerOpen, Severity: Warning, ObjectKind: "endpoint", ObjectID: name, ObjectName: name, Verb: "View"}
		if strings.Contains(name, "/") {
			i.ObjectKind = "model"
			i.ObjectName, _, _ = strings.Cut(name, "/")
		}
		targets := slices.Sorted(maps.Keys(s.failing))
		what := "the target " + targets[0]
		if len(targets) > 1 {
			what = fmt.Sprintf("%d targets", len(targets))
		}
		i.Figure = fmt.Sprintf("%d of %s", len(s.edges), count(int64(len(heard)), "edge"))
		i.Sentence = fmt.Sprintf("Requests of %s %s are kept from %s, which fails, by %s.", i.ObjectKind, name, what, i.Figure)
		if len(targets) > 1 {
			i.Sentence = fmt.Sprintf("Requests of %s %s are kept from %s, which fail, by %s.", i.ObjectKind, name, what, i.Figure)
		}
		if !s.well {
			i.Severity = Critical
		}
		out = append(out, i)
	}
	return out
}

// ofSecrets gives a line to each secret and each environment variable that an edge cannot read.
func ofSecrets(heard []fleet.Node) []Item {
	type missing struct {
		edges int
		why   string
	}
	secrets, variables := map[string]missing{}, map[string]missing{}
	for _, n := range heard {
		for name, why := range n.GetUnresolvedSecrets() {
			m := secrets[name]
			secrets[name] = missing{m.edges + 1, cmp.Or(m.why, why)}
		}
		for _, name := range n.GetMissingEnv() {
			variables[name] = missing{edges: variables[name].edges + 1}
		}
	}
	of := func(edges int) string { return fmt.Sprintf("%d of %s", edges, count(int64(len(heard)), "edge")) }
	var out []Item
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		m := secrets[name]
		out = append(out, Item{
			Kind: SecretUnresolved, Severity: Critical, ObjectKind: "secret", ObjectID: name, ObjectName: name, Verb: "Replace", Figure: of(m.edges),
			Sentence: fmt.Sprintf("Secret %s cannot be read by %s, so that requests that need it fail: %s", name, of(m.edges), sentence(m.why)),
		})
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		n := variables[name].edges
		out = append(out, Item{
			Kind: SecretUnresolved, Severity: Critical, Part: "env", ObjectID: name, ObjectName: name, Verb: "View", Figure: of(n),
			Sentence: fmt.Sprintf("The environment variable %s is missing on %s, so that requests that need it fail.", name, of(n)),
		})
	}
	return out
}

// sentence ends with a full stop.
func sentence(text string) string {
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// count is a number and what it counts: "1 edge", "1,204 charges".
func count(n int64, what string) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && n > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	if n != 1 {
		what += "s"
	}
	return text + " " + what
}
