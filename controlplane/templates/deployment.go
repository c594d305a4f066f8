package templates

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// paths are what meters see of a deployment's requests, by the schema that they are in.
var paths = map[controlv1.Schema]string{
	controlv1.Schema_SCHEMA_OPENAI_CHAT:        "/v1/chat/completions",
	controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES: "/v1/messages",
	controlv1.Schema_SCHEMA_OPENAI_RESPONSES:   "/v1/responses",
}

// VendorPath is where a vendor whose deployments are below base has what a schema is for: as its own SDK would ask for it.
func VendorPath(base string, schema controlv1.Schema) string {
	base = strings.TrimSuffix(base, "/")
	if schema == controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES && !strings.HasSuffix(base, "/v1") {
		return base + paths[schema]
	}
	return base + strings.TrimPrefix(paths[schema], "/v1")
}

// priceDeployment gives a template's deployment those meters of the endpoint that read the vendor's requests in the schemas of
// the deployment. Wherever the vendor has them, the meters of a deployment see them at the paths of the schemas.
func priceDeployment(t *controlv1.Template) error {
	d, whole := t.GetDeployment(), t.GetEndpoint().GetPrice().GetMetered()
	if d == nil {
		return nil
	}
	targets := t.GetEndpoint().GetTargets()
	if len(targets) == 0 {
		return fmt.Errorf("the deployment of %s has no endpoint beside it", t.GetName())
	}
	base, ok := strings.CutPrefix(d.GetTarget().GetUrl(), targets[0].GetUrl())
	if !ok {
		return fmt.Errorf("the deployment of %s is elsewhere than its endpoint", t.GetName())
	}
	price := &controlv1.Metered{Unmatched: whole.GetUnmatched(), Fallback: whole.GetFallback()}
	found := 0
	for _, m := range whole.GetMeters() {
		form, err := regexp.Compile(m.GetMatch().GetPath())
		if err != nil {
			return fmt.Errorf("meter %s: %w", m.GetName(), err)
		}
		var reads []string
		for _, s := range d.GetSchemas() {
			if !m.GetFree() && slices.Contains(m.GetMatch().GetMethods(), http.MethodPost) && form.MatchString(VendorPath(base, s)) {
				reads = append(reads, regexp.QuoteMeta(paths[s]))
			}
		}
		if len(reads) == 0 {
			continue
		}
		m = proto.CloneOf(m)
		m.Match.Methods, m.Match.Path = []string{http.MethodPost}, "^("+strings.Join(reads, "|")+")$"
		price.Meters = append(price.Meters, m)
		found += len(reads)
	}
	if found != len(d.GetSchemas()) {
		return fmt.Errorf("%d meters of %s read the %d schemas of its deployment", found, t.GetName(), len(d.GetSchemas()))
	}
	d.Price = &controlv1.Price{Kind: &controlv1.Price_Metered{Metered: price}}
	return nil
}
