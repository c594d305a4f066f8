package litellm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/pricebook"
	"tollgate/controlplane/templates"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/plan"
)

// costs are what a deployment's tokens cost by the file: its own prices, by the unit of a meter, for a million.
type costs map[string]string

// perMillion is the number of tokens that prices are said for: few of them cost a whole dollar.
const perMillion = 1_000_000

// costFields are LiteLLM's names of prices of a token, and the unit that each is a price of.
var costFields = map[string]string{
	"input_cost_per_token":                      "input",
	"output_cost_per_token":                     "output",
	"cache_read_input_token_cost":               "cached_input",
	"cache_creation_input_token_cost":           "cache_write",
	"cache_creation_input_token_cost_above_1hr": "cache_write_1h",
	"input_cost_per_audio_token":                "audio_input",
	"output_cost_per_audio_token":               "audio_output",
}

// instead says whose price a unit has that the file has none for.
var instead = map[string]string{
	"cached_input": "input", "cache_write": "input", "cache_write_1h": "cache_write", "audio_input": "input", "audio_output": "output",
}

// cost reads a price of one token.
func (d *deployment) cost(f field, path string) {
	if null(resolve(f.value)) {
		return
	}
	text := strings.ReplaceAll(strings.TrimSpace(scalar(f.value)), "_", "")
	if strings.HasPrefix(text, ".") {
		text = "0" + text
	}
	price, ok := pricebook.Shift(text, 6)
	if !ok {
		d.refuse(f.line, path, "%s is no price of a token in dollars.", quote(scalar(f.value)))
		return
	}
	if d.costs == nil {
		d.costs = costs{}
	}
	d.costs[costFields[f.key]] = price
}

// priceOf is what a deployment costs: what the file says, what the price book does, or nothing.
func (d *deployment) priceOf() (*controlv1.Price, error) {
	template := d.provider.template
	if template == "" {
		template = "openai"
	}
	own := d.provider.own || !d.home && !d.booked()
	switch {
	case d.costs != nil && d.provider.messages:
		template = "anthropic"
	case d.costs != nil:
		template = "openai"
	case own && d.provider.messages:
		template, d.costs = "anthropic", costs{}
	case own:
		template = "vllm"
	}
	m, err := meters(template, d.schemas())
	if err != nil {
		return nil, err
	}
	switch {
	case d.costs != nil || template == "vllm" || template == "ollama":
		d.costs.on(m)
		if d.costs["input"] == "" && d.costs["output"] == "" {
			d.v.note(d.line, plan.Warning, d.path, "It has no input_cost_per_token and output_cost_per_token, and no list has prices of it: spend will be $0, and no budget limits it.")
		} else if d.costs["input"] == "" || d.costs["output"] == "" {
			d.v.note(d.line, plan.Warning, d.path, "It has only one of input_cost_per_token and output_cost_per_token; the other costs nothing, as with LiteLLM.")
		}
	case d.provider.template == "":
		for _, meter := range m.GetMeters() {
			meter.Book = d.vendor
		}
	}
	if d.baseModel != "" && !strings.Contains(d.model, "*") {
		for _, meter := range m.GetMeters() {
			meter.Models = map[string]string{d.model: d.baseModel}
		}
	}
	return &controlv1.Price{Kind: &controlv1.Price_Metered{Metered: m}}, nil
}

// booked says whether the price book knows the model, wherever it is served: LiteLLM prices a model by its name.
func (d *deployment) booked() bool {
	return bookModels()[[2]string{d.vendor, pricebook.Key(cmp.Or(d.baseModel, d.model))}]
}

// bookModels are the lists and models of the price book that comes with Tollgate.
var bookModels = sync.OnceValue(func() map[[2]string]bool {
	known := map[[2]string]bool{}
	book, err := pricebook.Builtin()
	if err != nil {
		return known
	}
	for _, r := range book.Rows {
		known[[2]string{r.List, pricebook.Key(r.Price.GetModel())}] = true
	}
	return known
})

// on makes these the only prices of meters.
func (c costs) on(m *controlv1.Metered) {
	free := true
	for _, price := range c {
		free = free && price == "0"
	}
	for _, meter := range m.GetMeters() {
		row := &controlv1.ModelPrice{Model: "*"}
		for _, u := range meter.GetUnits() {
			price := "0"
			for name := u.GetName(); name != ""; name = instead[name] {
				if said := c[name]; said != "" {
					price = said
					break
				}
			}
			row.Rates = append(row.Rates, &controlv1.UnitPrice{Unit: u.GetName(), Price: price, Per: perMillion})
		}
		meter.Prices, meter.Book, meter.Variant, meter.Variants, meter.Tier = []*controlv1.ModelPrice{row}, "", nil, nil, nil
		if free {
			meter.Hold = &controlv1.MeterHold{Amount: leastHeld}
		}
	}
	if free {
		m.Fallback = "0"
	}
}

// leastHeld is what is held for requests that cost nothing: a price by meters holds something for each.
const leastHeld = "0.000001"

// ready is a template's own deployment.
func ready(template string) (*controlv1.Deployment, error) {
	all, err := templates.All()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(e templates.Entry) bool { return e.Template.GetName() == template })
	if i < 0 || all[i].Template.GetDeployment() == nil {
		return nil, fmt.Errorf("there is no template %s of deployments", template)
	}
	return proto.CloneOf(all[i].Template.GetDeployment()), nil
}

// meters are a template's for the schemas of a deployment.
func meters(template string, schemas []controlv1.Schema) (*controlv1.Metered, error) {
	d, err := ready(template)
	if err != nil {
		return nil, err
	}
	m := d.GetPrice().GetMetered()
	m.Meters = slices.DeleteFunc(m.GetMeters(), func(meter *controlv1.Meter) bool {
		return !slices.ContainsFunc(schemas, func(s controlv1.Schema) bool {
			return strings.Contains(meter.GetMatch().GetPath(), templates.VendorPath("/v1", s))
		})
	})
	if len(m.GetMeters()) == 0 {
		return nil, errors.New("the template " + template + " has no meter for it")
	}
	return m, nil
}

// options are what the vendor understands of its schema: the template's where it is the vendor's own server, or one of
// your own of a known kind; what most servers have in common otherwise.
func (d *deployment) options() *controlv1.VendorOptions {
	if d.home || d.provider.own {
		if t, err := ready(d.provider.template); err == nil {
			return t.GetOptions()
		}
	}
	if d.provider.messages {
		return nil
	}
	return &controlv1.VendorOptions{MaxTokensField: controlv1.MaxTokensField_MAX_TOKENS_FIELD_MAX_TOKENS}
}
