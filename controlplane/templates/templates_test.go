package templates_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"tollgate/controlplane/templates"
	"tollgate/internal/meter"
	"tollgate/internal/testenv/vectors"
)

// Guarantee: every template has a name, a title, what it is for, a note and a sample, and its meters are free of
// problems once its parameters are filled in.
func TestEveryTemplateIsComplete(t *testing.T) {
	t.Parallel()
	for _, e := range entries(t) {
		m := e.Template
		t.Run(m.GetName(), func(t *testing.T) {
			t.Parallel()
			if m.GetTitle() == "" || m.GetSummary() == "" || len(m.GetNotes()) == 0 || m.GetSample().GetPath() == "" || len(e.Samples) == 0 {
				t.Error("title, summary, notes, sample or samples are missing")
			}
			ep := filled(t, m)
			if !strings.HasPrefix(ep.GetPath(), "/") || len(ep.GetTargets()) == 0 {
				t.Error("path or target is missing")
			}
			for _, p := range meter.Check(ep.GetPrice().GetMetered()) {
				t.Errorf("%s: %s", p.Field, p.Reason)
			}
			plan(t, m)
		})
	}
}

// Guarantee: a template asks for exactly those secrets and parameters that its endpoint has a place for.
func TestSecretsAndParametersAreUsed(t *testing.T) {
	t.Parallel()
	reference := regexp.MustCompile(`\$\{secret:([^}]+)\}`)
	for _, e := range entries(t) {
		m := e.Template
		raw, err := protojson.Marshal(m.GetEndpoint())
		if err != nil {
			t.Fatal(err)
		}
		var used, asked []string
		for _, found := range reference.FindAllStringSubmatch(string(raw), -1) {
			used = append(used, found[1])
		}
		for _, s := range m.GetSecrets() {
			asked = append(asked, s.GetName())
			if s.GetEnv() == "" || s.GetSummary() == "" {
				t.Errorf("%s: secret %s has no variable or no summary", m.GetName(), s.GetName())
			}
		}
		slices.Sort(used)
		slices.Sort(asked)
		if used = slices.Compact(used); !slices.Equal(used, asked) {
			t.Errorf("%s asks for secrets %v and refers to %v", m.GetName(), asked, used)
		}
		for _, p := range m.GetParameters() {
			if !strings.Contains(string(raw), "{"+p.GetName()+"}") {
				t.Errorf("%s asks for %s, which is used nowhere", m.GetName(), p.GetName())
			}
		}
		left, err := protojson.Marshal(filled(t, m))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range m.GetParameters() {
			if strings.Contains(string(left), "{"+p.GetName()+"}") {
				t.Errorf("%s leaves {%s} in its endpoint", m.GetName(), p.GetName())
			}
		}
	}
}

// Guarantee: every list of the price book that a template names is in the book that comes with the program.
func TestListsAreInTheBook(t *testing.T) {
	t.Parallel()
	rows := book(t)
	for _, e := range entries(t) {
		for _, m := range e.Template.GetEndpoint().GetPrice().GetMetered().GetMeters() {
			if list := m.GetBook(); list != "" && len(rows(list)) == 0 {
				t.Errorf("%s: meter %s names the list %q, which the book does not have", e.Template.GetName(), m.GetName(), list)
			}
		}
	}
}

// Guarantee: each sample, recorded or made up, is read by the meter that it names, counts what it says and costs
// that to the last digit: in one piece, in random pieces, and compressed.
func TestSamplesCostWhatTheySay(t *testing.T) {
	t.Parallel()
	recordings := vectors.All(t)
	for _, e := range entries(t) {
		t.Run(e.Template.GetName(), func(t *testing.T) {
			t.Parallel()
			p := plan(t, e.Template)
			for i := range e.Samples {
				s := &e.Samples[i]
				var x exchange
				if s.Recorded == "" {
					x = made(s)
				} else {
					x = find(t, recordings, s)
				}
				ways := map[string]*meter.Bill{"whole": x.bill(t, p, whole), "pieces": x.bill(t, p, random(uint64(i)))}
				if !x.websocket {
					ways["gzip"] = x.zipped(t).bill(t, p, random(uint64(i)))
				}
				for way, b := range ways {
					check(t, s, way, b)
				}
			}
		})
	}
}

func find(t *testing.T, recordings []vectors.Exchange, s *templates.Sample) exchange {
	t.Helper()
	for i := range recordings {
		x := &recordings[i]
		if x.Name != s.Recorded && !slices.Contains(x.Files, s.Recorded) {
			continue
		}
		at := s.Path
		if !loose(x) {
			at = below(t, x.URL)
		}
		out := of(x, at)
		if s.Request != "" {
			out.request, out.requestHeader = []byte(s.Request), made(s).requestHeader
		}
		return out
	}
	t.Fatalf("there is no recording %s", s.Recorded)
	return exchange{}
}

func check(t *testing.T, s *templates.Sample, way string, b *meter.Bill) {
	t.Helper()
	name := s.Recorded
	if name == "" {
		name = s.Path
	}
	fail := func(format string, args ...any) { t.Helper(); t.Errorf(name+", "+way+": "+format, args...) }
	w := s.Want
	if b.Meter != w.Meter {
		fail("meter %q, want %q", b.Meter, w.Meter)
	}
	if w.Model != "" && b.Model != w.Model {
		fail("model %q, want %q", b.Model, w.Model)
	}
	if w.Counts != "" && b.Counts != w.Counts {
		fail("counts %q, want %q", b.Counts, w.Counts)
	}
	if w.Cost != "" && decimal(b) != w.Cost {
		fail("cost %s, want %s (%v)", decimal(b), w.Cost, b.Unpriced)
	}
	if unpriced := len(b.Unpriced) > 0; unpriced != w.Unpriced {
		fail("unpriced: %v", b.Unpriced)
	}
	if w.NotCharged && b.Charged {
		fail("it is charged")
	}
	if job := told(b); job != w.Job {
		fail("job %q, want %q", job, w.Job)
	}
}

// decimal is the cost without needless zeros.
func decimal(b *meter.Bill) string {
	text := b.Cost.String()
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func told(b *meter.Bill) string {
	if b.Job == nil {
		return ""
	}
	return b.Job.ID + "=" + map[meter.JobState]string{meter.Running: "running", meter.Done: "done", meter.Failed: "failed"}[b.Job.State]
}

// Guarantee: who misspells a name is shown the names that are near it, and all of them where none is.
func TestNearNames(t *testing.T) {
	t.Parallel()
	all := entries(t)
	if got := templates.Near(all, "azure"); !slices.Equal(got, []string{"azure-openai"}) {
		t.Errorf("near azure: %v", got)
	}
	if got := templates.Near(all, "opnai"); !slices.Contains(got, "openai") {
		t.Errorf("near opnai: %v", got)
	}
	if got := templates.Near(all, "zzz"); len(got) != len(all) {
		t.Errorf("near zzz: %v", got)
	}
}

// Guarantee: a data file that is wrong is an error that says where.
func TestWrongFilesAreErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"- a":                            "mapping",
		"name: x\nendpont: {}":           "line 2",
		"name: x\nsamples: [{path: {}}]": "line 2",
		"name: [":                        "line 1",
		"name: x\ndeployment: {}":        "no endpoint",
		"name: x\nendpoint: {targets: [{url: \"https://a.example.com\"}]}\ndeployment: {target: {url: \"https://b.example.com\"}}": "elsewhere",
		"name: x\nendpoint: {targets: [{url: \"https://a.example.com\"}]}\n" +
			"deployment: {target: {url: \"https://a.example.com/v1\"}, schemas: [SCHEMA_OPENAI_CHAT]}": "0 meters",
	} {
		if _, err := templates.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
