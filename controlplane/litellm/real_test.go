package litellm_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/controlplane/declare"
	"tollgate/controlplane/litellm"
	"tollgate/internal/fault"
	"tollgate/internal/plan"
)

const realFiles = "testdata/real"

// realPlan converts one of the files with those that it includes, as somebody who does without guardrails.
func realPlan(t *testing.T, name string) *plan.Plan {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(realFiles, name))
	if err != nil {
		t.Fatal(err)
	}
	c := litellm.Converter{AcceptGuardrailLoss: true, ReadFile: func(name string) ([]byte, error) {
		if !fs.ValidPath(name) {
			return nil, fs.ErrNotExist
		}
		return os.ReadFile(filepath.Join(realFiles, name))
	}}
	p, err := c.Convert(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Guarantee: files of the size that companies have convert to exactly the objects and the notes that the report beside them says;
// each note names a line of the file that it is about, and no value of a secret.
func TestRealWorldFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"models.yaml", "passthrough.yaml", "enterprise.yaml"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := realPlan(t, name)
			sound(t, p)
			for _, n := range p.Notes {
				file := name
				if n.File != "" {
					file = n.File
				}
				text, err := os.ReadFile(filepath.Join(realFiles, file))
				if err != nil {
					t.Fatal(err)
				}
				if lines := strings.Count(string(text), "\n"); n.Line < 1 || n.Line > lines {
					t.Errorf("%s has no line %d: %s: %s", file, n.Line, n.Path, n.Text)
				}
			}
			got := realReport(name, p)
			for _, s := range p.Secrets {
				if strings.Contains(got, s.Value.Reveal()) {
					t.Errorf("the value of %s is in the report", s.Name)
				}
			}
			golden := filepath.Join(realFiles, strings.TrimSuffix(name, ".yaml")+".report")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// realReport lists the objects by their kinds, what they are in tollgate.yaml, and all notes.
func realReport(name string, p *plan.Plan) string {
	objects, _ := litellm.Objects(name, p)
	names := map[declare.Kind][]string{}
	for _, o := range objects {
		names[o.Kind] = append(names[o.Kind], o.Name)
	}
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(&b, "%d %s: %s\n", len(names[kind]), kind, strings.Join(names[kind], ", "))
	}
	levels := map[plan.Level]int{}
	for _, n := range p.Notes {
		levels[n.Level]++
	}
	fmt.Fprintf(&b, "%d notes: %d info, %d warning, %d refused\n\n", len(p.Notes), levels[plan.Info], levels[plan.Warning], levels[plan.Refused])
	for _, n := range p.Notes {
		file := name
		if n.File != "" {
			file = n.File
		}
		fmt.Fprintf(&b, "%s:%d: %s: %s: %s\n", file, n.Line, n.Level, n.Path, n.Text)
	}
	return b.String()
}

// Guarantee: of files with guardrails nothing is imported that would lose one, unless that is accepted: endpoints that name one are
// left out, and a file with one that guards every request is refused.
func TestRealWorldGuardrailsAreKept(t *testing.T) {
	t.Parallel()
	convert := func(name string) (*plan.Plan, error) {
		text, err := os.ReadFile(filepath.Join(realFiles, name))
		if err != nil {
			t.Fatal(err)
		}
		return litellm.Convert(name, text)
	}
	p, err := convert("passthrough.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range p.Endpoints {
		if strings.HasPrefix(e.GetPath(), "/moderated/") {
			t.Errorf("%s is imported without its guardrails", e.GetPath())
		}
	}
	with := realPlan(t, "passthrough.yaml")
	if got := len(with.Endpoints) - len(p.Endpoints); got != 2 {
		t.Errorf("%d endpoints come with the loss of guardrails", got)
	}
	if _, err := convert("enterprise.yaml"); err == nil || !strings.Contains(fault.From(err).Hint, "--accept-guardrail-loss") {
		t.Errorf("err = %v", err)
	}
}

// Guarantee C5: what a running proxy lists of the entries of its file is not imported a second time, and what is in its database only
// comes with them.
func TestEntriesOfTheFileAreImportedOnce(t *testing.T) {
	t.Parallel()
	const name = "passthrough.yaml"
	text, err := os.ReadFile(filepath.Join(realFiles, name))
	if err != nil {
		t.Fatal(err)
	}
	alone, err := litellm.Convert(name, text)
	if err != nil {
		t.Fatal(err)
	}
	listed := []litellm.Row{{"path": "/made-in-the-ui", "target": "https://ui.vendors.example", "auth": true, "is_from_config": false}}
	want := []string{"/made-in-the-ui"}
	for _, e := range alone.Endpoints {
		listed = append(listed, litellm.Row{"path": e.GetPath(), "target": e.GetTargets()[0].GetUrl(), "auth": true, "is_from_config": true})
		want = append(want, e.GetPath())
	}
	both, err := litellm.Converter{}.ConvertWith(name, text, &litellm.Records{From: "test", Endpoints: listed})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range both.Endpoints {
		got = append(got, e.GetPath())
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
