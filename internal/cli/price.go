package cli

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
	"tollgate/internal/meter/document"
)

func (a *app) priceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "price", Short: "Try what exchanges would cost", Args: cobra.ArbitraryArgs, RunE: group}
	cmd.AddCommand(a.priceTest())
	return cmd
}

type priceTestFlags struct {
	file, endpoint, template, sample, request, method, path string
	headers, requestHeaders, params                         []string
	status                                                  uint32
	interrupted                                             bool
}

func (a *app) priceTest() *cobra.Command {
	var f priceTestFlags
	cmd := &cobra.Command{
		Use: "test", Short: "Show what an exchange would cost by a price, and how that comes about", Args: exactly(),
		Long: `Show what an exchange would cost: the counters that were found, the units that are billed, the lines of
the bill and its total. The price is a document, an endpoint's or a template's; the exchange is an
answer that was saved, and the request where the price looks into it. Nothing is sent or charged.`,
		Example: `  tollgate price test -f draft.yaml --sample response.json --path /v1/chat/completions
  curl -sN … | tollgate price test --template openai --sample - --path /v1/chat/completions
  tollgate price test --endpoint openai --sample stream.sse --request body.json --path /v1/responses`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req := &controlv1.TestPriceRequest{}
			var err error
			if req.Sample, err = a.sample(cmd, &f); err != nil {
				return err
			}
			if given := slices.DeleteFunc([]string{f.file, f.endpoint, f.template}, func(s string) bool { return s == "" }); len(given) != 1 {
				return usage(cmd, "Say what is tried with one of -f, --endpoint and --template.")
			}
			if f.file != "" {
				price, err := a.readPrice(f.file)
				if err != nil {
					return err
				}
				req.Subject = &controlv1.TestPriceRequest_Price{Price: price}
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				switch {
				case f.endpoint != "":
					req.Subject = &controlv1.TestPriceRequest_Endpoint{Endpoint: f.endpoint}
				case f.template != "":
					t, err := filledTemplate(ctx, cmd, c, f.template, f.params)
					if err != nil {
						return err
					}
					req.Subject = &controlv1.TestPriceRequest_Price{Price: t.GetEndpoint().GetPrice()}
				}
				res, err := c.pricing.TestPrice(ctx, req)
				if err != nil {
					return err
				}
				if len(req.GetSample().GetRequestBody()) == 0 && len(res.GetUnpriced()) > 0 {
					a.say("! The request's body is not known, in which many prices look for the model: give it with --request.")
				}
				return a.print(priceTested(res))
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "file", "f", "", "document with a price, or with an endpoint that has one; - for stdin")
	flags.StringVar(&f.endpoint, "endpoint", "", "endpoint whose price is tried")
	flags.StringVar(&f.template, "template", "", "template whose price is tried")
	flags.StringArrayVar(&f.params, "param", nil, "'NAME=VALUE': a parameter of the template; may be repeated")
	flags.StringVar(&f.sample, "sample", "", "file with the body of the answer, as it was sent; - for stdin")
	flags.StringVar(&f.request, "request", "", "file with the body of the request; - for stdin")
	flags.StringVar(&f.method, "method", "", "method of the request (POST if not given)")
	flags.StringVar(&f.path, "path", "", "path and query of the request below the endpoint, such as /v1/chat/completions")
	flags.Uint32Var(&f.status, "status", 0, "status of the answer (200 if not given)")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "'name: value' of the answer; may be repeated")
	flags.StringArrayVar(&f.requestHeaders, "request-header", nil, "'name: value' of the request; may be repeated")
	flags.BoolVar(&f.interrupted, "interrupted", false, "the answer broke off where the sample ends")
	return cmd
}

// bodyTypes are content types by the names of files.
var bodyTypes = map[string]string{
	".json": "application/json", ".sse": "text/event-stream", ".ndjson": "application/x-ndjson", ".jsonl": "application/x-ndjson",
	".bin": "application/vnd.amazon.eventstream",
}

// sample reads the exchange.
func (a *app) sample(cmd *cobra.Command, f *priceTestFlags) (*controlv1.Sample, error) {
	if f.sample == "" && f.request == "" {
		return nil, usage(cmd, "Give the answer with --sample, or the request with --request.")
	}
	stdin := slices.DeleteFunc([]string{f.file, f.sample, f.request}, func(s string) bool { return s != "-" })
	if len(stdin) > 1 {
		return nil, usage(cmd, "Only one of -f, --sample and --request can be stdin.")
	}
	if f.path != "" && !strings.HasPrefix(f.path, "/") {
		return nil, usage(cmd, "The path %q does not begin with a slash.", f.path)
	}
	s := &controlv1.Sample{Method: strings.ToUpper(f.method), Path: f.path, Status: f.status, Interrupted: f.interrupted}
	var err error
	if f.sample != "" {
		if _, s.Body, err = a.readInput(f.sample); err != nil {
			return nil, err
		}
	}
	if f.request != "" {
		if _, s.RequestBody, err = a.readInput(f.request); err != nil {
			return nil, err
		}
	}
	if s.Headers, err = sampleHeaders(cmd, f.headers, bodyTypes[filepath.Ext(f.sample)]); err != nil {
		return nil, err
	}
	kind := ""
	if json.Valid(s.GetRequestBody()) {
		kind = "application/json"
	}
	s.RequestHeaders, err = sampleHeaders(cmd, f.requestHeaders, kind)
	return s, err
}

// sampleHeaders reads headers, and adds the content type that is known otherwise.
func sampleHeaders(cmd *cobra.Command, texts []string, kind string) (all []*controlv1.SampleHeader, err error) {
	for _, text := range texts {
		h, err := readHeader(cmd, text)
		if err != nil {
			return nil, err
		}
		all = append(all, &controlv1.SampleHeader{Name: h.GetName(), Value: h.GetValue()})
	}
	if kind != "" && !slices.ContainsFunc(all, func(h *controlv1.SampleHeader) bool { return strings.EqualFold(h.GetName(), "content-type") }) {
		all = append(all, &controlv1.SampleHeader{Name: "content-type", Value: kind})
	}
	return all, nil
}

// readPrice reads a document: a price, the meters of one, or an endpoint that has one.
func (a *app) readPrice(name string) (*controlv1.Price, error) {
	_, raw, err := a.readInput(name)
	if err != nil {
		return nil, err
	}
	price, doc, err := parsePrice(raw)
	if a.document = doc; doc.node != nil {
		a.document.name = name
	}
	if err != nil {
		return nil, fault.New(fault.InvalidArgument, "The price in %s cannot be read: %v.", name, err).
			WithHint("`tollgate template show blank -o yaml` shows one, below endpoint.price.")
	}
	return price, nil
}

// priceDocument is the document of a price, in which the lines of what is wrong with the price are found.
type priceDocument struct {
	name   string
	node   *yaml.Node
	within string // path of the node in a price
	prefix string // what the paths of its fields begin with, if it is no price
}

// line is where the document has a field that a control plane complains about; empty if it has none of it.
func (d *priceDocument) line(field string) string {
	_, rest, ok := strings.Cut("."+field, ".price."+d.within)
	if d.prefix != "" {
		rest, ok = strings.CutPrefix(field, d.prefix)
	}
	if d.node == nil || !ok {
		return ""
	}
	n := document.Line(d.node, strings.TrimPrefix(rest, "."))
	if n == 0 {
		n = d.node.Line
	}
	return "line " + strconv.Itoa(n) + " of " + d.name
}

func parsePrice(raw []byte) (*controlv1.Price, priceDocument, error) {
	node, err := document.Root(raw)
	if err != nil {
		return nil, priceDocument{}, err
	}
	for _, within := range []string{"endpoint", "price"} {
		if part := member(node, within); part != nil {
			node = part
		}
	}
	price := &controlv1.Price{}
	if member(node, "meters") != nil {
		m := &controlv1.Metered{}
		price.Kind = &controlv1.Price_Metered{Metered: m}
		return price, priceDocument{node: node, within: "metered"}, document.Decode(node, m)
	}
	if err := document.Decode(node, price); err != nil {
		return nil, priceDocument{}, err
	}
	switch k := price.GetKind().(type) {
	case nil:
		return nil, priceDocument{}, errors.New("it says no price: one of free, fixed, usage, metered and reported")
	case *controlv1.Price_Fixed_:
		if at := k.Fixed.GetPerRequest(); at.GetUnits() == 0 && at.GetNanos() == 0 {
			return nil, priceDocument{}, errors.New(`fixed.per_request: it is 0; say "free: {}" if requests cost nothing`)
		}
	}
	return price, priceDocument{node: node}, nil
}

// member is a field of a mapping; nil if it has none of that name.
func member(n *yaml.Node, name string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// priceTested is a bill, for people first.
func priceTested(res *controlv1.TestPriceResponse) result {
	r := result{data: view(res), names: []string{res.GetMeter()}}
	add := r.table.add
	add("meter", first(res.GetMeter(), "-"))
	if res.GetModel() != "" {
		add("model", res.GetModel())
	}
	for _, c := range res.GetCounters() {
		if c.GetValue() == "" {
			add("counter "+c.GetName(), "not found")
			continue
		}
		text := c.GetValue()
		if c.GetSource() != "" {
			text += " (" + c.GetSource() + ")"
		}
		add("counter "+c.GetName(), text)
	}
	for _, l := range res.GetLines() {
		add("line "+l.GetUnit(), lineText(l))
	}
	for _, why := range res.GetUnpriced() {
		add("unpriced", why)
	}
	if res.GetJob() != "" {
		add("job", res.GetJob()+" "+res.GetJobState())
	}
	if res.GetHold() != nil {
		add("held", strings.TrimSuffix(dollars(res.GetHold())+": "+res.GetHoldReason(), ": "))
	}
	for _, n := range res.GetNotes() {
		add("note", n)
	}
	total := dollars(res.GetTotal())
	if !res.GetCharged() {
		total += ", not charged"
	}
	add("total", total)
	return r
}

// lineText is a line of a bill: how many, at what price, and what that comes to.
func lineText(l *controlv1.TestedLine) string {
	if l.GetPrice() == "" {
		return first(l.GetQuantity(), "1") + " = $" + first(l.GetAmount(), "0")
	}
	per := ""
	switch n := l.GetPer(); {
	case n > 1:
		per = " per " + count(n)
	}
	return l.GetQuantity() + " × $" + l.GetPrice() + per + " = $" + l.GetAmount()
}
