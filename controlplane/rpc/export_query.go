package rpc

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/durationpb"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// dimensionNames are the words for what usage is grouped and filtered by, as in the command line.
var dimensionNames = func() map[string]controlv1.UsageDimension {
	out := map[string]controlv1.UsageDimension{}
	for n, name := range controlv1.UsageDimension_name {
		if n != 0 {
			out[strings.ToLower(strings.TrimPrefix(name, "USAGE_DIMENSION_"))] = controlv1.UsageDimension(n)
		}
	}
	return out
}()

const mostGroups = 4

func (q *query) groups(name string) (out []controlv1.UsageDimension) {
	text := q.text(name)
	if text == "" {
		return nil
	}
	for word := range strings.SplitSeq(text, ",") {
		d, ok := dimensionNames[strings.TrimSpace(word)]
		switch {
		case !ok:
			q.problems.Add(name, registry.Unknown, "%q is nothing to group by: use key, endpoint, day, hour, team, customer, tag, model, edge, status or status_class.", word)
		case slices.Contains(out, d):
			q.problems.Add(name, registry.Duplicate, "%s is there twice.", word)
		default:
			out = append(out, d)
		}
	}
	if len(out) > mostGroups {
		q.problems.Add(name, registry.Range, "There are more than %d.", mostGroups)
	}
	return out
}

// filters reads what may be there several times: "status=4xx,5xx", and "team!=search" for all others. A value with a comma in it is
// put into quotes, as in a file of comma-separated values.
func (q *query) filters(name string) (out []*controlv1.UsageFilter) {
	q.known = append(q.known, name)
	for _, text := range q.values[name] {
		word, list, ok := strings.Cut(text, "=")
		f := &controlv1.UsageFilter{}
		word, f.Not = strings.CutSuffix(word, "!")
		if f.Of = dimensionNames[word]; !ok || f.GetOf() == controlv1.UsageDimension_USAGE_DIMENSION_UNSPECIFIED {
			q.problems.Add(name, registry.Malformed, "%q is no filter: write it like status=4xx,5xx or team!=search.", text)
			continue
		}
		if list == "" {
			f.Values = []string{""}
		} else {
			values, err := csv.NewReader(strings.NewReader(list)).Read()
			if err != nil {
				q.problems.Add(name, registry.Malformed, "%q is no list of values: %v.", list, err)
				continue
			}
			f.Values = values
		}
		if err := protovalidate.Validate(f); err != nil {
			q.problems.Add(name, registry.Malformed, "%q selects nothing: %v.", text, err)
			continue
		}
		q.said = append(q.said, name+"="+text)
		out = append(out, f)
	}
	return out
}

// amount reads US dollars, "0.25".
func (q *query) amount(name string) *typemoney.Money {
	text := q.text(name)
	if text == "" {
		return nil
	}
	n, err := money.Parse(text)
	if err != nil {
		q.problems.Add(name, registry.Malformed, "%q is not an amount of US dollars: %v.", text, err)
		return nil
	}
	return contract.MoneyToProto(n)
}

// length reads a length of time, "250ms".
func (q *query) length(name string) *durationpb.Duration {
	text := q.text(name)
	if text == "" {
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		q.problems.Add(name, registry.Malformed, "%q is no length of time: write it like 250ms or 2s.", text)
	}
	return durationpb.New(d)
}

// fileName is the name under which a browser keeps a file of usage: its days, and by what it is grouped.
func fileName(req *controlv1.QueryUsageRequest, from, to string) string {
	by := "total"
	if len(req.GetGroupBy()) > 0 {
		var words []string
		for _, d := range req.GetGroupBy() {
			words = append(words, strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(d.String(), "USAGE_DIMENSION_")), "_", "-"))
		}
		by = "by-" + strings.Join(words, "-")
	}
	return fmt.Sprintf("tollgate-usage_%s_%s_%s.csv", from, to, by)
}
