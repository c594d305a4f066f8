package rpc

import (
	"context"
	"errors"
	"time"

	typemoney "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	eventv1 "tollgate/gen/tollgate/event/v1"
	ledgerv1 "tollgate/gen/tollgate/ledger/v1"
	"tollgate/internal/contract"
	"tollgate/internal/fault"
	"tollgate/internal/money"
)

// RepriceRequests is recorded before the ledger is asked: no money is moved that the audit does not
// know of.
func (s *usageService) RepriceRequests(ctx context.Context, req *controlv1.RepriceRequestsRequest) (*controlv1.RepriceRequestsResponse, error) {
	p := problems("")
	ask := &ledgerv1.RepriceRequestsRequest{DryRun: req.GetDryRun()}
	ask.PerRequestNanos = int64(priceFrom(req.GetPerRequest(), "per_request", p))
	ask.PerMillionUnitsNanos = int64(priceFrom(req.GetPerMillionUnits(), "per_million_units", p))
	amounts := req.GetPerRequest() != nil || req.GetPerMillionUnits() != nil
	switch {
	case req.GetCurrent() && amounts:
		p.Add("current", registry.Forbidden, "What the requests cost is either said, or made of what their meters counted: leave out the amounts, or current.")
	case !req.GetCurrent() && !amounts:
		p.Add("per_request", registry.Required,
			"Say what the requests cost: an amount for each, or for a million units, or both; or ask for current, by which each costs what its endpoint's meters say now.")
	}
	if f := req.GetFilter(); len(f.GetFilters()) > 0 || f.GetMinCost() != nil || f.GetMinTime() != nil {
		// A ledger of the version before would price more than that.
		p.Add("filter", registry.Forbidden, "Requests to price are selected without filters, min_cost and min_time.")
	}
	if err := p.Err("the price"); err != nil {
		return nil, err
	}
	var err error
	if ask.Filter, err = s.filterFrom(ctx, req.GetFilter(), time.Now()); err != nil {
		return nil, err
	}
	ask.Filter.Unpriced = true
	if s.ledger.usage == nil {
		return nil, noLedger()
	}
	var got *ledgerv1.RepriceRequestsResponse
	if req.GetCurrent() {
		got, err = s.repriceByMeters(ctx, &ledgerv1.RepriceByMetersRequest{Filter: ask.GetFilter(), DryRun: ask.GetDryRun()})
	} else {
		if err := s.recordReprice(ctx, ask.GetDryRun(), ask); err != nil {
			return nil, err
		}
		got, err = s.ledger.repriceRequests(ctx, ask)
	}
	if err != nil {
		return nil, err
	}
	return s.repriced(ctx, got)
}

// priceFrom reads an amount that is not negative.
func priceFrom(m *typemoney.Money, field string, p *registry.Problems) money.Nanos {
	n := amountFrom(m, field, p)
	if n < 0 {
		p.Add(field, registry.Range, "The price %s is negative: use 0 or more.", n.Dollars())
	}
	return n
}

func (s *usageService) recordReprice(ctx context.Context, dryRun bool, ask proto.Message) error {
	if dryRun {
		return nil
	}
	return s.store.Record(ctx, actor(ctx), "reprice", "requests", requestID(ctx), ask)
}

// repriceByMeters gives the ledger, which has what was counted, the prices of the endpoints that have anything to price.
func (s *usageService) repriceByMeters(ctx context.Context, ask *ledgerv1.RepriceByMetersRequest) (*ledgerv1.RepriceRequestsResponse, error) {
	f := ask.GetFilter()
	rows, err := s.ledger.queryUsage(ctx, &ledgerv1.QueryUsageRequest{
		FromDay: dayOf(f.GetFromUnixMs()), ToDay: dayOf(f.GetToUnixMs() - 1), GroupBy: []ledgerv1.UsageDimension{ledgerv1.UsageDimension_USAGE_DIMENSION_ENDPOINT},
		KeyId: f.GetKeyId(), EndpointId: f.GetEndpointId(), Team: f.GetTeam(), Customer: f.GetCustomer(), Tag: f.GetTag(), Model: f.GetModel(),
	})
	if err != nil {
		return nil, err
	}
	prices, err := s.currentPrices(ctx, rows.GetRows())
	if err != nil {
		return nil, err
	}
	lists := map[string]bool{}
	audited := proto.CloneOf(ask) // with versions of the prices, which the audit has already
	for _, p := range prices {
		ask.Prices = append(ask.Prices, p.price)
		audited.Prices = append(audited.Prices, &ledgerv1.EndpointPrice{
			EndpointId: p.price.GetEndpointId(), Deployment: p.price.GetDeployment(), WhyNot: p.price.GetWhyNot(), PriceVersion: p.price.GetPriceVersion(),
		})
		for _, name := range p.lists {
			if lists[name] {
				continue
			}
			lists[name] = true
			rows, err := s.store.BookList(ctx, name)
			if err != nil {
				return nil, err
			}
			ask.Book = append(ask.Book, &eventv1.BookList{Name: name, Rows: rows})
		}
	}
	if err := s.recordReprice(ctx, ask.GetDryRun(), audited); err != nil {
		return nil, err
	}
	return s.ledger.repriceByMeters(ctx, ask)
}

func dayOf(unixMs int64) string { return time.UnixMilli(unixMs).UTC().Format(time.DateOnly) }

// currentPrice is a price and the lists of the price book that it refers to.
type currentPrice struct {
	price *ledgerv1.EndpointPrice
	lists []string
}

func newCurrentPrice(p *ledgerv1.EndpointPrice, from *registry.Price, whyNot string) currentPrice {
	if from.Metered == nil {
		p.WhyNot = whyNot
		return currentPrice{price: p}
	}
	p.Metered = from.Metered.Message
	return currentPrice{p, from.Lists()}
}

// currentPrices are those of the endpoints that have anything to price, and of all deployments if one of these serves models.
func (s *usageService) currentPrices(ctx context.Context, rows []*ledgerv1.UsageRow) (out []currentPrice, err error) {
	models := false
	for _, row := range rows {
		if row.GetUnpriced() <= 0 {
			continue
		}
		price := &ledgerv1.EndpointPrice{EndpointId: row.GetEndpointId()}
		e, err := s.store.Endpoint(ctx, row.GetEndpointId())
		switch {
		case errors.Is(err, fault.New(fault.ObjectNotFound, "")):
			price.WhyNot = "its endpoint is deleted"
			out = append(out, currentPrice{price: price})
		case err != nil:
			return nil, err
		case e.Models != nil:
			models = true
			price.WhyNot = "its endpoint serves models, and its deployment is not among theirs"
			out = append(out, currentPrice{price: price})
		default:
			price.PriceVersion = e.PriceVersion
			out = append(out, newCurrentPrice(price, &e.Price, "the price of its endpoint has no meters"))
		}
	}
	for token := ""; models; {
		page, next, err := s.store.Models(ctx, store.ListQuery{Page: store.Page{Size: modelsAtOnce, Token: token}})
		if err != nil {
			return nil, err
		}
		for i := range page {
			for k := range page[i].Deployments {
				d := &page[i].Deployments[k]
				price := &ledgerv1.EndpointPrice{Deployment: page[i].Name + "/" + d.Name, PriceVersion: d.PriceVersion}
				out = append(out, newCurrentPrice(price, &d.Price, "the price of its deployment has no meters"))
			}
		}
		if token = next; token == "" {
			break
		}
	}
	return out, nil
}

// modelsAtOnce is how many models are read at a time.
const modelsAtOnce = 1000

func (s *usageService) repriced(ctx context.Context, got *ledgerv1.RepriceRequestsResponse) (*controlv1.RepriceRequestsResponse, error) {
	out := &controlv1.RepriceRequestsResponse{
		Corrected: got.GetCorrected(), Difference: contract.MoneyToProto(money.Nanos(got.GetDifferenceNanos())), StillUnpriced: got.GetStillUnpriced(),
	}
	var endpoints []string
	for _, r := range got.GetReasons() {
		endpoints = append(endpoints, r.GetEndpointId())
	}
	names, err := s.store.Names(ctx, endpoints)
	if err != nil {
		return nil, err
	}
	for _, r := range got.GetReasons() {
		out.Reasons = append(out.Reasons, &controlv1.StillUnpriced{
			EndpointId: r.GetEndpointId(), EndpointName: names[r.GetEndpointId()], Reason: r.GetReason(), Requests: r.GetRequests(),
		})
	}
	return out, nil
}
