package cli

import (
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/meter/document"
	"tollgate/internal/money"
)

// modelFile reads a model from a document. A name on the command line has to be the document's, if both are there.
func (a *app) modelFile(cmd *cobra.Command, file, name string) (*controlv1.Model, error) {
	for _, flag := range deploymentOnly {
		if cmd.Flags().Changed(flag) {
			return nil, usage(cmd, "--%s does not go with -f: the file has the deployments.", flag)
		}
	}
	_, raw, err := a.readInput(file)
	if err != nil {
		return nil, err
	}
	refuse := func(format string, args ...any) error {
		return fault.New(fault.InvalidArgument, "The model in "+file+" cannot be read: "+format+".", args...).
			WithHint("`%s model show NAME -o yaml` shows one.", a.Program)
	}
	root, err := document.Root(raw)
	if err != nil {
		return nil, refuse("%v", err)
	}
	plainMoney(root, 0)
	m := &controlv1.Model{}
	if err := document.Decode(root, m); err != nil {
		return nil, refuse("%v", err)
	}
	a.document = priceDocument{name: file, node: root, prefix: "model."}
	if m.Name = first(m.GetName(), name); name != "" && m.GetName() != name {
		return nil, refuse("it is a model %s, not %s", m.GetName(), name)
	}
	// What the server gives of its own is in a document that was shown; it is given anew.
	m.Id, m.Revision, m.CreateTime, m.UpdateTime, m.Warnings = "", 0, nil, nil, nil
	return m, nil
}

// deploymentOnly are flags whose settings a file has.
var deploymentOnly = []string{
	"template", "param", "vendor-model", "url", "schema", "adapter", "secret", "api-key-env", "header", "deployment-name", "weight", "priority",
	"price-per-request", "price-file", "free", "vendor-timeout", "option",
}

// replaceModel makes m what a document says. A document with an etag is for the model that had it.
func replaceModel(m, whole *controlv1.Model) {
	next := proto.CloneOf(whole)
	next.Id, next.Revision, next.CreateTime, next.UpdateTime, next.Warnings = m.GetId(), m.GetRevision(), m.GetCreateTime(), m.GetUpdateTime(), m.GetWarnings()
	next.Etag = first(whole.GetEtag(), m.GetEtag())
	proto.Reset(m)
	proto.Merge(m, next)
}

// plainMoney gives amounts the form that messages have: commands show them as {currency, amount}. What is no such amount
// stays for the reader to complain of.
func plainMoney(n *yaml.Node, depth int) {
	const mostDepth = 64
	if depth > mostDepth {
		return
	}
	for _, c := range n.Content {
		plainMoney(c, depth+1)
	}
	currency, amount := member(n, "currency"), member(n, "amount")
	if currency == nil || amount == nil || len(n.Content) != 4 {
		return
	}
	nanos, err := money.Parse(amount.Value)
	if err != nil {
		return
	}
	text := func(value string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Line: amount.Line}
	}
	m := contract.MoneyToProto(nanos)
	units, rest := &yaml.Node{}, &yaml.Node{}
	if units.Encode(m.GetUnits()) != nil || rest.Encode(m.GetNanos()) != nil {
		return
	}
	units.Line, rest.Line = amount.Line, amount.Line
	n.Content = []*yaml.Node{text("currencyCode"), text(currency.Value), text("units"), units, text("nanos"), rest}
}
