package reconcile

import (
	"encoding/csv"
	"errors"
	"io"
	"regexp"
	"strings"

	"tollgate/internal/fault"
)

// Ignore as the endpoint of a rule or of a line of a table leaves lines out on purpose: taxes,
// credits, another product.
const Ignore = "-"

// Mapping says which endpoint a line of an invoice is about, from the text in its subject column: what
// the table has for exactly this text, else what the first rule that matches says. An empty mapping
// takes the text itself.
type Mapping struct {
	Table map[string]string
	Rules []Rule
}

// Rule maps the texts that a pattern matches anywhere to an endpoint. The endpoint may refer to
// groups of the pattern, as $1 or ${name}.
type Rule struct {
	Pattern  *regexp.Regexp
	Endpoint string
}

// ParseRule reads a rule as a flag has it: pattern, "=", endpoint. The last equals sign divides, so
// that the pattern may contain some.
func ParseRule(text string) (Rule, error) {
	i := strings.LastIndexByte(text, '=')
	if i < 0 || strings.TrimSpace(text[i+1:]) == "" {
		return Rule{}, fault.New(fault.InvalidArgument, "%q is not a rule of the form pattern=endpoint.", text).
			WithHint("Such as 'Generate.*=bria-generate'; %s as the endpoint leaves the lines out.", Ignore)
	}
	p, err := regexp.Compile(text[:i])
	if err != nil {
		return Rule{}, fault.New(fault.InvalidArgument, "The pattern of the rule %q is malformed: %v.", text, err)
	}
	return Rule{p, strings.TrimSpace(text[i+1:])}, nil
}

// ReadTable reads a table of a mapping: a CSV file with two columns and no line of names, the text as
// the invoice has it and the endpoint. A text that occurs twice with different endpoints is refused.
func ReadTable(r io.Reader) (map[string]string, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = 2
	in.TrimLeadingSpace = true
	table := map[string]string{}
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return table, nil
		}
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "The table of endpoints cannot be read: %v.", err)
		}
		line, _ := in.FieldPos(0)
		text, endpoint := strings.TrimSpace(fields[0]), strings.TrimSpace(fields[1])
		if endpoint == "" {
			return nil, fault.New(fault.InvalidArgument, "Line %d of the table of endpoints names no endpoint.", line).
				WithHint("%s leaves the lines of the invoice out.", Ignore)
		}
		if old, known := table[text]; known && old != endpoint {
			return nil, fault.New(fault.InvalidArgument, "Line %d of the table of endpoints maps %q to %s, and one before it to %s.", line, text, endpoint, old)
		}
		table[text] = endpoint
	}
}

// endpoint says what a text is about, and whether that is known.
func (m Mapping) endpoint(text string) (string, bool) {
	if e, ok := m.Table[text]; ok {
		return e, true
	}
	for _, r := range m.Rules {
		if at := r.Pattern.FindStringSubmatchIndex(text); at != nil {
			e := string(r.Pattern.ExpandString(nil, r.Endpoint, text, at))
			return e, e != ""
		}
	}
	return text, text != "" && len(m.Table) == 0 && len(m.Rules) == 0
}
