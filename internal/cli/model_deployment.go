package cli

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
)

// schemas are the names of languages.
var schemas = map[string]controlv1.Schema{
	"openai-chat":        controlv1.Schema_SCHEMA_OPENAI_CHAT,
	"anthropic-messages": controlv1.Schema_SCHEMA_ANTHROPIC_MESSAGES,
	"openai-responses":   controlv1.Schema_SCHEMA_OPENAI_RESPONSES,
}

func schemasFlag(cmd *cobra.Command, flag string, texts []string) ([]controlv1.Schema, error) {
	var all []controlv1.Schema
	for _, text := range texts {
		s, ok := schemas[text]
		if !ok {
			return nil, usage(cmd, "--%s is %s, not %q.", flag, strings.Join(slices.Sorted(maps.Keys(schemas)), ", "), text)
		}
		all = append(all, s)
	}
	return all, nil
}

func schemaNames(all []controlv1.Schema) []string {
	var names []string
	for _, s := range all {
		names = append(names, nameOf(schemas, s, "?"))
	}
	return names
}

// deploymentFlags say what serves a model.
type deploymentFlags struct {
	template, model, url, secret, keyEnv, adapter, name string
	priceFile, perRequest                               string
	params, schema, options, headers                    []string
	weight, priority                                    uint32
	free                                                bool
	wait                                                time.Duration

	read  func(file string) (*controlv1.Price, error)
	given []newSecret // that were stored
}

func (f *deploymentFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.template, "template", "", "vendor to begin with, as tollgate template list shows them: its URL, schemas and prices")
	flags.StringArrayVar(&f.params, "param", nil, "'NAME=VALUE': a parameter of the template; may be repeated")
	flags.StringVar(&f.model, "vendor-model", "", "the vendor's name of the model, such as gpt-4o; the name that is asked for if not given; * stands for what * in the name does")
	flags.StringVar(&f.url, "url", "", "base URL as the vendor's SDK takes it, such as https://api.openai.com/v1 or https://api.anthropic.com")
	flags.StringSliceVar(&f.schema, "schema", nil, "language that the vendor understands: openai-chat, anthropic-messages or openai-responses; may be repeated")
	flags.StringVar(&f.adapter, "adapter", "", "adapter that translates for a vendor of no such language")
	flags.StringVar(&f.secret, "secret", "", "stored secret with the vendor's key; 'NAME=env:VARIABLE', 'NAME=file:PATH' or 'NAME=-' for stdin store it first")
	flags.StringVar(&f.keyEnv, "api-key-env", "", "environment variable of the edges with the vendor's key, in place of a secret")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "'name: value' of requests to the vendor; may be repeated")
	flags.StringVar(&f.name, "deployment-name", "", "name of the deployment; the template's, or one of the vendor's host, if not given")
	flags.Uint32Var(&f.weight, "weight", 0, "share of the requests, with --balance weighted or least-in-flight")
	flags.Uint32Var(&f.priority, "priority", 0, "deployments of the lowest number are used while any of them works, with --balance weighted or least-in-flight")
	flags.StringVar(&f.perRequest, "price-per-request", "", "dollars per request, such as 0.01")
	flags.StringVar(&f.priceFile, "price-file", "", "file with a price in YAML or JSON, such as one by meters; - for stdin")
	flags.BoolVar(&f.free, "free", false, "requests cost nothing")
	flags.DurationVar(&f.wait, "vendor-timeout", 0, "how long the vendor may take until it begins to answer")
	flags.StringArrayVar(&f.options, "option", nil, "'KEY=VALUE' of what the vendor understands of its schema, such as max_tokens_field=max_tokens or prefill; may be repeated")
}

// complete refuses what contradicts itself or is not enough, before anybody is asked.
func (f *deploymentFlags) complete(cmd *cobra.Command) error {
	given := cmd.Flags().Changed
	for _, names := range [][]string{{"secret", "api-key-env"}, {"price-per-request", "price-file", "free"}, {"adapter", "schema"}} {
		if err := exclusive(cmd, names...); err != nil {
			return err
		}
	}
	if f.template != "" {
		return nil
	}
	switch {
	case given("param"):
		return usage(cmd, "--param belongs to --template.")
	case f.url == "":
		return usage(cmd, "Say what serves the model with --template, or with --url.")
	case f.adapter == "" && len(f.schema) == 0:
		return usage(cmd, "Say what the vendor understands with --schema, or name what translates for it with --adapter.")
	case !f.free && f.perRequest == "" && f.priceFile == "":
		return usage(cmd, "Say what a request costs with --price-file or --price-per-request, or that it costs nothing with --free.")
	}
	return nil
}

// deployment makes what the flags say, of a template if they name one, and stores the secret that comes with it.
// Everything that can be checked before is.
func (a *app) deployment(ctx context.Context, cmd *cobra.Command, c clients, f *deploymentFlags) (*controlv1.Deployment, error) {
	d := &controlv1.Deployment{Target: &controlv1.Target{}}
	var t *controlv1.Template
	if f.template != "" {
		var err error
		if t, err = filledTemplate(ctx, cmd, c, f.template, f.params); err != nil {
			return nil, err
		}
		if d = t.GetDeployment(); d == nil {
			return nil, fault.New(fault.InvalidArgument, "Template %s is one of endpoints only: its vendor speaks no schema of models.", t.GetName()).
				WithHint("Make an endpoint of it, `%s endpoint create --template %s`; or say --url and --adapter.", a.Program, t.GetName())
		}
		if d.Target == nil {
			d.Target = &controlv1.Target{}
		}
		d.Name = first(d.GetName(), t.GetName())
	}
	if err := f.change(cmd, d); err != nil {
		return nil, err
	}
	return d, a.storeSecrets(ctx, cmd, c, f, t, d)
}

// change puts what was given into d.
func (f *deploymentFlags) change(cmd *cobra.Command, d *controlv1.Deployment) (err error) {
	given := cmd.Flags().Changed
	if given("url") {
		d.Target.Url = f.url
	}
	if given("weight") {
		d.Target.Weight = f.weight
	}
	if given("priority") {
		d.Target.Priority = f.priority
	}
	if given("vendor-model") {
		d.Model = f.model
	}
	if given("deployment-name") {
		d.Name = f.name
	}
	if given("schema") {
		if d.Schemas, err = schemasFlag(cmd, "schema", f.schema); err != nil {
			return err
		}
	}
	if given("adapter") {
		d.Adapter, d.Schemas = f.adapter, nil
	}
	if given("vendor-timeout") {
		d.Timeout = durationpb.New(f.wait)
	}
	for _, text := range f.headers {
		h, err := readHeader(cmd, text)
		if err != nil {
			return err
		}
		d.Headers = append(d.Headers, h)
	}
	if len(f.options) > 0 && d.Options == nil {
		d.Options = &controlv1.VendorOptions{}
	}
	for _, text := range f.options {
		if err := setOption(cmd, d.Options, text); err != nil {
			return err
		}
	}
	return f.changePrice(cmd, d)
}

func (f *deploymentFlags) changePrice(cmd *cobra.Command, d *controlv1.Deployment) error {
	switch {
	case f.free:
		d.Price = &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}}
	case f.perRequest != "":
		amount, err := dollarsFlag(cmd, "price-per-request", f.perRequest)
		if err != nil {
			return err
		}
		if amount == 0 {
			return usage(cmd, "--price-per-request is 0; say --free if requests cost nothing.")
		}
		d.Price = &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{PerRequest: contract.MoneyToProto(amount)}}}
	case f.priceFile != "":
		price, err := f.read(f.priceFile)
		if err != nil {
			return err
		}
		d.Price = price
	}
	return nil
}

// storeSecrets puts the vendor's key where edges find it. t is nil if the deployment is of no template.
func (a *app) storeSecrets(ctx context.Context, cmd *cobra.Command, c clients, f *deploymentFlags, t *controlv1.Template, d *controlv1.Deployment) error {
	name, _, stores := strings.Cut(f.secret, "=")
	if stores {
		given, err := a.givenSecrets(cmd, []string{f.secret})
		if err != nil {
			return err
		}
		f.given = given
	}
	own := t != nil && slices.Contains(secretsOf(t), name) // it is the one that the template refers to already
	switch {
	case f.keyEnv != "":
		useKey(d, t, "${env:"+f.keyEnv+"}")
		return nil
	case t != nil && (f.secret == "" || own):
		if err := checkSecrets(ctx, cmd, c, t, f.given); err != nil {
			return err
		}
	case f.secret != "":
		useKey(d, t, "${secret:"+name+"}")
	}
	for _, s := range f.given {
		if _, err := c.Secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: s.name, Value: s.value.Reveal()}); err != nil {
			return err
		}
		a.say("%s secret %s created", a.mark(true), s.name)
	}
	return nil
}

// useKey has the vendor get another key than that of the template, which may stand in a header of the vendor's own.
func useKey(d *controlv1.Deployment, t *controlv1.Template, key string) {
	replaced := false
	for _, old := range secretsOf(t) {
		for _, h := range d.GetHeaders() {
			value := strings.ReplaceAll(h.GetValue(), "${secret:"+old+"}", key)
			replaced = replaced || value != h.GetValue()
			h.Value = value
		}
	}
	if !replaced {
		d.ApiKey = key
	}
}

// setOption sets one of a vendor's options by its name. One that is a choice of yes and no may leave =true out.
func setOption(cmd *cobra.Command, o *controlv1.VendorOptions, text string) error {
	name, value, valued := strings.Cut(text, "=")
	m := o.ProtoReflect()
	f := m.Descriptor().Fields().ByName(protoreflect.Name(strings.ReplaceAll(name, "-", "_")))
	if f == nil {
		var known []string
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			known = append(known, string(fields.Get(i).Name()))
		}
		return usage(cmd, "There is no option %q; there are %s.", name, strings.Join(known, ", "))
	}
	switch f.Kind() {
	case protoreflect.BoolKind:
		yes, err := strconv.ParseBool(value)
		if valued && err != nil {
			return usage(cmd, "The option %s is true or false, not %q.", name, value)
		}
		m.Set(f, protoreflect.ValueOfBool(yes || !valued))
	case protoreflect.EnumKind:
		choices := optionValues(f.Enum())
		n, ok := choices[strings.ToLower(value)]
		if !ok {
			return usage(cmd, "The option %s is %s, not %q.", name, strings.Join(slices.Sorted(maps.Keys(choices)), ", "), value)
		}
		m.Set(f, protoreflect.ValueOfEnum(n))
	case protoreflect.Int32Kind:
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return usage(cmd, "The option %s is a whole number, not %q.", name, value)
		}
		m.Set(f, protoreflect.ValueOfInt32(int32(n)))
	default:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return usage(cmd, "The option %s is a whole number, not %q.", name, value)
		}
		m.Set(f, protoreflect.ValueOfInt64(n))
	}
	return nil
}

// optionValues are an enumeration's values by what their names end in: EXTRA_FIELDS_PASS is pass.
func optionValues(e protoreflect.EnumDescriptor) map[string]protoreflect.EnumNumber {
	unset := string(e.Values().ByNumber(0).Name())
	prefix := strings.TrimSuffix(unset, "UNSPECIFIED")
	values := map[string]protoreflect.EnumNumber{}
	for i := range e.Values().Len() {
		if v := e.Values().Get(i); v.Number() != 0 {
			values[strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))] = v.Number()
		}
	}
	return values
}

// describeDeployment shows what serves a model.
func describeDeployment(t *table, d *controlv1.Deployment) {
	speaks := list(schemaNames(d.GetSchemas()), "-")
	if d.GetAdapter() != "" {
		speaks = "adapter " + d.GetAdapter()
	}
	t.add("deployment", d.GetName()+": "+first(d.GetModel(), "the model as it is asked for")+" at "+targetText(d.GetTarget()))
	t.add("  speaks", speaks)
	if d.GetApiKey() != "" {
		t.add("  key", d.GetApiKey())
	}
	for _, h := range d.GetHeaders() {
		t.add("  header", strings.TrimSuffix(h.GetName()+": "+h.GetValue(), ": ")+modeTexts[h.GetMode()])
	}
	for _, q := range d.GetQuery() {
		t.add("  query", q.GetName()+"="+q.GetValue())
	}
	t.add("  price", price(&controlv1.Endpoint{Price: d.GetPrice()}))
	if w := d.GetTimeout(); w != nil {
		t.add("  timeout", w.AsDuration().String())
	}
	if o := optionsText(d.GetOptions()); o != "" {
		t.add("  options", o)
	}
}

// optionsText writes options as the flag has them.
func optionsText(o *controlv1.VendorOptions) string {
	var s phrase
	m := o.ProtoReflect()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			continue
		}
		switch f.Kind() {
		case protoreflect.BoolKind:
			s.add(string(f.Name()), "", true)
		case protoreflect.EnumKind:
			for value, n := range optionValues(f.Enum()) {
				s.add(string(f.Name())+"=", value, n == m.Get(f).Enum())
			}
		default:
			s.add(string(f.Name())+"=", strconv.FormatInt(m.Get(f).Int(), 10), true)
		}
	}
	return s.String()
}
