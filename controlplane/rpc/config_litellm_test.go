package rpc_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/controlplane/litellm"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

const realFiles = "../litellm/testdata/real"

// realInput is one of LiteLLM's files with those that it includes.
func realInput(t *testing.T, names ...string) *controlv1.ConfigInput {
	t.Helper()
	in := &controlv1.ConfigInput{Dialect: controlv1.ConfigDialect_CONFIG_DIALECT_LITELLM, AcceptGuardrailLoss: true}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(realFiles, name))
		if err != nil {
			t.Fatal(err)
		}
		in.Files = append(in.Files, &controlv1.ConfigFile{Name: name, Text: text})
	}
	return in
}

// Guarantee: LiteLLM's files of the size that companies have apply whole: what the plan shows is what is made, and a second plan has
// nothing to do, whether the control plane reads the file itself or `tollgate import litellm` does.
func TestRealWorldFiles(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{{"models.yaml"}, {"passthrough.yaml"}, {"enterprise.yaml", "enterprise-media.yaml"}} {
		t.Run(names[0], func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			in := realInput(t, names...)
			planned := b.plan(in)
			applied := b.apply(in)
			if got, want := summary(applied.GetChanges()), summary(planned.GetChanges()); !slices.Equal(got, want) || len(got) < 25 {
				t.Errorf("applied %d %q, planned %q", len(got), got, want)
			}
			after := b.dump()
			if again := b.plan(in); len(again.GetChanges()) != 0 || again.GetPlanId() != "" {
				t.Errorf("planned again it does %q", summary(again.GetChanges()))
			}
			if again := b.apply(in); len(again.GetChanges()) != 0 || again.GetRevision() != applied.GetRevision() {
				t.Errorf("applied again it makes revision %d of %d, and does %q", again.GetRevision(), applied.GetRevision(), summary(again.GetChanges()))
			}
			if diff := cmp.Diff(after, b.dump()); diff != "" {
				t.Errorf("applied again it changes\n%s", diff)
			}
			for _, imported := range realImport(t, in) {
				if again := b.plan(imported); len(again.GetChanges()) != 0 {
					t.Errorf("imported again it does %q", summary(again.GetChanges()))
				}
			}
		})
	}
}

// realImport is what `tollgate import litellm` sends of the same files.
func realImport(t *testing.T, in *controlv1.ConfigInput) []*controlv1.ConfigInput {
	t.Helper()
	c := litellm.Converter{AcceptGuardrailLoss: in.GetAcceptGuardrailLoss(), ReadFile: func(name string) ([]byte, error) {
		for _, f := range in.GetFiles()[1:] {
			if f.GetName() == name {
				return f.GetText(), nil
			}
		}
		return nil, fs.ErrNotExist
	}}
	name := in.GetFiles()[0].GetName()
	p, err := c.Convert(name, in.GetFiles()[0].GetText())
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := litellm.Inputs(name, p)
	if err != nil {
		t.Fatal(err)
	}
	return inputs
}

// Guarantee C5: what a file owns is there once, and the file stays its source: nothing that is made, changed or applied beside it
// makes a second one of its endpoints or takes one over, and what the file does not name any more goes alone.
func TestFilesStayTheSource(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	in := realInput(t, "passthrough.yaml")
	b.apply(in)
	counted := func(when string, want ...int) {
		t.Helper()
		var endpoints, paths, owned, names int
		err := b.pool.QueryRow(ctx, `SELECT count(*), count(DISTINCT (path, methods)) FROM control.endpoint`).Scan(&endpoints, &paths)
		if err == nil {
			err = b.pool.QueryRow(ctx, `SELECT count(*), count(DISTINCT name) FROM control.managed WHERE kind = 'endpoint'`).Scan(&owned, &names)
		}
		if got := []int{endpoints, paths, owned, names}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: endpoints, paths, owned, names are %v, not %v: %v", when, got, want, err)
		}
	}
	counted("applied", 32, 32, 32, 32)

	mine := bria()
	mine.Name, mine.Path, mine.Headers = "by-hand", "/by-hand", nil
	must[*controlv1.CreateEndpointResponse](t)(b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: mine}))
	counted("another one made", 33, 33, 32, 32)

	same := bria()
	same.Name, same.Path, same.Headers = "second", "/bria", nil
	if _, err := b.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: same}); err == nil {
		t.Error("a second endpoint has the path of one that a file owns")
	}
	theirs := must[*controlv1.GetEndpointResponse](t)(b.endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: "serper"})).GetEndpoint()
	theirs.Description = "changed by hand"
	if _, err := b.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: theirs}); !strings.Contains(fmt.Sprint(err), "litellm") {
		t.Errorf("a file's endpoint is changed: %v", err)
	}
	if got := b.apply(in).GetChanges(); len(got) != 0 {
		t.Errorf("applied again it does %q", summary(got))
	}
	counted("applied again", 33, 33, 32, 32)

	without := realInput(t, "passthrough.yaml")
	text := string(without.GetFiles()[0].GetText())
	from, to := strings.Index(text, "    - path: /serper\n"), strings.Index(text, "    - path: /exa\n")
	without.GetFiles()[0].Text = []byte(text[:from] + text[to:])
	without.Prune = true
	if got := summary(b.apply(without).GetChanges()); !slices.Equal(got, []string{"- endpoint serper"}) {
		t.Errorf("without one of them it does %q", got)
	}
	counted("one taken out", 32, 32, 31, 31)
}
