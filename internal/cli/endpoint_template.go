package cli

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/config"
	"tollgate/internal/fault"
)

// templateFlags make an endpoint of a template.
type templateFlags struct {
	template, name  string
	secrets, params []string
}

func (f *templateFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.template, "template", "", "ready endpoint of a vendor's API to begin with, as tollgate template list shows them")
	flags.StringVar(&f.name, "name", "", "name of the endpoint, in place of NAME; the template's if neither is given")
	flags.StringArrayVar(&f.secrets, "secret", nil, "'NAME=env:VARIABLE', 'NAME=file:PATH' or 'NAME=-' for stdin: a secret of the template to store; may be repeated")
	flags.StringArrayVar(&f.params, "param", nil, "'NAME=VALUE': a parameter of the template; may be repeated")
}

// newSecret is a secret that is to be stored for a template.
type newSecret struct {
	name  string
	value config.Secret
}

// createFromTemplate stores the secrets that are given and makes the endpoint. Everything that can be checked before
// anything is written is.
func (a *app) createFromTemplate(cmd *cobra.Command, f *endpointFlags, name string) error {
	given, err := a.givenSecrets(cmd, f.from.secrets)
	if err != nil {
		return err
	}
	return a.with(cmd, func(ctx context.Context, c clients) error {
		t, err := filledTemplate(ctx, cmd, c, f.from.template, f.from.params)
		if err != nil {
			return err
		}
		e := t.GetEndpoint()
		e.Name = first(name, f.from.name, e.GetName())
		if err := f.change(cmd, e); err != nil {
			return err
		}
		a.warnLiterals(e)
		if err := checkSecrets(ctx, cmd, c, t, given); err != nil {
			return err
		}
		for _, s := range given {
			if _, err := c.Secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: s.name, Value: s.value.Reveal()}); err != nil {
				return err
			}
			a.say("%s secret %s created", a.mark(true), s.name)
		}
		res, err := c.Endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: e})
		if err != nil {
			if len(given) > 0 {
				a.say("! The endpoint was not made. The secrets are stored all the same: leave --secret out the next time.")
			}
			return err
		}
		made := res.GetEndpoint()
		a.sayWarnings(made)
		for _, line := range priced(made) {
			a.say("  %s", line)
		}
		a.say("  curl: %s", a.curl(made, t.GetSample()))
		return a.done(endpointResult(made), a.Program+" template show "+t.GetName(), "endpoint %s created (rev %d)", made.GetName(), made.GetRevision())
	})
}

// givenSecrets reads the values, from where they are not kept.
func (a *app) givenSecrets(cmd *cobra.Command, texts []string) ([]newSecret, error) {
	var all []newSecret
	for _, text := range texts {
		name, from, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usage(cmd, "--secret %q is not NAME=env:VARIABLE, NAME=file:PATH or NAME=-.", name)
		}
		if slices.ContainsFunc(all, func(s newSecret) bool { return s.name == name }) {
			return nil, usage(cmd, "--secret %s is given twice.", name)
		}
		var value config.Secret
		var err error
		kind, rest, _ := strings.Cut(from, ":")
		switch {
		case kind == "env" && rest != "":
			raw := a.Getenv(rest)
			if raw == "" {
				return nil, usage(cmd, "--secret %s: the environment variable %s is empty.", name, rest)
			}
			value, err = secretValue(cmd, []byte(raw))
		case kind == "file" && rest != "":
			value, err = a.readSecret(cmd, rest)
		case from == "-":
			value, err = a.readSecret(cmd, "")
		default:
			// The text could be the secret itself, so it is not shown.
			return nil, usage(cmd, "--secret %s does not say where the value is: env:VARIABLE, file:PATH or - for stdin.", name)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, newSecret{name, value})
	}
	return all, nil
}

// checkSecrets says which secrets of the template are missing, and which are given that are there already or that it
// does not have.
func checkSecrets(ctx context.Context, cmd *cobra.Command, c clients, t *controlv1.Template, given []newSecret) error {
	stored, _, err := pages(0, func(size int32, token string) ([]*controlv1.Secret, string, error) {
		page, err := c.Secrets.ListSecrets(ctx, &controlv1.ListSecretsRequest{PageSize: size, PageToken: token})
		return page.GetSecrets(), page.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	there := func(name string) bool {
		return slices.ContainsFunc(stored, func(s *controlv1.Secret) bool { return s.GetName() == name })
	}
	for _, s := range given {
		switch {
		case !slices.ContainsFunc(t.GetSecrets(), func(of *controlv1.TemplateSecret) bool { return of.GetName() == s.name }):
			return usage(cmd, "Template %s has no secret %s; it has %s.", t.GetName(), s.name, list(secretsOf(t), "none"))
		case there(s.name):
			return fault.New(fault.AlreadyExists, "There is a secret %s already.", s.name).
				WithHint("Leave --secret out to use it, or replace it with `tollgate secret rotate %s`.", s.name)
		}
	}
	var missing []string
	for _, s := range t.GetSecrets() {
		if !there(s.GetName()) && !slices.ContainsFunc(given, func(g newSecret) bool { return g.name == s.GetName() }) {
			missing = append(missing, "--secret "+s.GetName()+"=env:"+s.GetEnv())
		}
	}
	if len(missing) > 0 {
		return usage(cmd, "Template %s needs its credential: %s", t.GetName(), strings.Join(missing, " "))
	}
	return nil
}

func secretsOf(t *controlv1.Template) []string {
	names := make([]string, len(t.GetSecrets()))
	for i, s := range t.GetSecrets() {
		names[i] = s.GetName()
	}
	return names
}

// filledTemplate is a template with its parameters filled in.
func filledTemplate(ctx context.Context, cmd *cobra.Command, c clients, name string, params []string) (*controlv1.Template, error) {
	res, err := c.templates.GetTemplate(ctx, &controlv1.GetTemplateRequest{Name: name})
	if err != nil {
		return nil, err
	}
	t := proto.CloneOf(res.GetTemplate())
	values := map[string]string{}
	for _, p := range t.GetParameters() {
		values[p.GetName()] = p.GetDefault()
	}
	for _, text := range params {
		name, value, ok := strings.Cut(text, "=")
		if _, known := values[name]; !known || !ok {
			var names []string
			for _, p := range t.GetParameters() {
				names = append(names, p.GetName())
			}
			return nil, usage(cmd, "--param %q is not NAME=VALUE of a parameter of template %s; it has %s.", text, t.GetName(), list(names, "none"))
		}
		values[name] = value
	}
	for _, p := range t.GetParameters() {
		if values[p.GetName()] == "" {
			return nil, usage(cmd, "Template %s asks for %s: --param %s=…", t.GetName(), p.GetSummary(), p.GetName())
		}
	}
	fill(t.GetEndpoint().ProtoReflect(), values)
	if t.GetDeployment() != nil {
		fill(t.GetDeployment().ProtoReflect(), values)
	}
	return t, nil
}

// fill puts values for "{NAME}" into all texts of a message. Other braces, as in "${secret:NAME}" and in patterns,
// stay as they are.
func fill(m protoreflect.Message, values map[string]string) {
	pairs := make([]string, 0, 2*len(values))
	for name, value := range values {
		pairs = append(pairs, "{"+name+"}", value)
	}
	fillWith(m, strings.NewReplacer(pairs...))
}

func fillWith(m protoreflect.Message, r *strings.Replacer) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		text, nested := f.Kind() == protoreflect.StringKind, f.Message() != nil
		switch {
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, item protoreflect.Value) bool {
				if f.MapValue().Kind() == protoreflect.StringKind {
					v.Map().Set(k, protoreflect.ValueOfString(r.Replace(item.String())))
				}
				return true
			})
		case f.IsList():
			for i := range v.List().Len() {
				if nested {
					fillWith(v.List().Get(i).Message(), r)
				} else if text {
					v.List().Set(i, protoreflect.ValueOfString(r.Replace(v.List().Get(i).String())))
				}
			}
		case nested:
			fillWith(v.Message(), r)
		case text:
			m.Set(f, protoreflect.ValueOfString(r.Replace(v.String())))
		}
		return true
	})
}

// priced says in lines what of an endpoint is priced, what is free, and what happens to the rest.
func priced(e *controlv1.Endpoint) []string {
	m := e.GetPrice().GetMetered()
	if m == nil {
		return nil
	}
	var costs, frees []string
	for _, meter := range m.GetMeters() {
		if meter.GetFree() {
			frees = append(frees, meter.GetName())
		} else {
			costs = append(costs, meter.GetName())
		}
	}
	rest := map[string]string{"refuse": "refused", "free": "free", "unpriced": "charged the fallback of $" + m.GetFallback() + ", and marked as unpriced"}
	lines := []string{"priced: " + strings.Join(costs, ", ")}
	if len(frees) > 0 {
		lines = append(lines, "free: "+strings.Join(frees, ", "))
	}
	return append(lines, "all else: "+first(rest[m.GetUnmatched()], m.GetUnmatched()))
}

// curl is a command line that sends the sample through the gateway.
func (a *app) curl(e *controlv1.Endpoint, s *controlv1.Sample) string {
	gateway, err := a.gateway("")
	if err != nil {
		gateway = defaultGateway
	}
	words := []string{"curl", strings.TrimRight(gateway, "/") + strings.TrimRight(e.GetPath(), "/") + s.GetPath(), "-H", `"Authorization: Bearer $TOLLGATE_KEY"`}
	if method := first(s.GetMethod(), "POST"); method != "GET" && (method != "POST" || len(s.GetRequestBody()) == 0) {
		words = append(words, "-X", method)
	}
	for _, h := range s.GetRequestHeaders() {
		words = append(words, "-H", "'"+h.GetName()+": "+h.GetValue()+"'")
	}
	if json.Valid(s.GetRequestBody()) {
		words = append(words, "-d", "'"+strings.ReplaceAll(string(s.GetRequestBody()), "'", `'\''`)+"'")
	}
	return strings.Join(words, " ")
}
