package rpc

import (
	"fmt"

	typemoney "google.golang.org/genproto/googleapis/type/money"

	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

func priceOf(m *controlv1.Price, p *registry.Problems) (price registry.Price) {
	switch k := m.GetKind().(type) {
	case *controlv1.Price_Free_:
		price.Free = true
	case *controlv1.Price_Fixed_:
		price.PerRequest = amountFrom(k.Fixed.GetPerRequest(), "price.fixed.per_request", p)
		price.Charge = chargeFrom(k.Fixed.GetCharge())
	case *controlv1.Price_Usage_:
		price.Usage = usageFrom(k.Usage, p)
	case *controlv1.Price_Metered:
		price.Metered = &registry.Metered{Message: k.Metered}
	case *controlv1.Price_Reported_:
		const field = "price.reported."
		price.Reported = &registry.Reported{
			Header:   k.Reported.GetHeader(),
			Ceiling:  amountFrom(k.Reported.GetCeiling(), field+"ceiling", p),
			Fallback: amountFrom(k.Reported.GetFallback(), field+"fallback", p),
			Charge:   chargeFrom(k.Reported.GetCharge()),
		}
	default:
		p.Add("price", registry.Required, "Say what a request costs: an amount, what it uses, what meters read, what the target says, or free.")
	}
	return price
}

func priceTo(price *registry.Price) *controlv1.Price {
	switch {
	case price.Usage != nil:
		return &controlv1.Price{Kind: &controlv1.Price_Usage_{Usage: usageTo(price.Usage)}}
	case price.Free:
		return &controlv1.Price{Kind: &controlv1.Price_Free_{Free: &controlv1.Price_Free{}}}
	case price.Metered != nil:
		return &controlv1.Price{Kind: &controlv1.Price_Metered{Metered: price.Metered.Message}}
	case price.Reported != nil:
		return &controlv1.Price{Kind: &controlv1.Price_Reported_{Reported: reportedTo(price.Reported)}}
	default:
		return &controlv1.Price{Kind: &controlv1.Price_Fixed_{Fixed: &controlv1.Price_Fixed{
			PerRequest: contract.MoneyToProto(price.PerRequest), Charge: chargeTo(price.Charge),
		}}}
	}
}

func reportedTo(r *registry.Reported) *controlv1.Price_Reported {
	m := &controlv1.Price_Reported{Header: r.Header, Ceiling: contract.MoneyToProto(r.Ceiling), Charge: chargeTo(r.Charge)}
	if r.Fallback != 0 {
		m.Fallback = contract.MoneyToProto(r.Fallback)
	}
	return m
}

func chargeFrom(m *controlv1.Charge) *registry.Charge {
	if m == nil {
		return nil
	}
	return &registry.Charge{Message: m}
}

func chargeTo(c *registry.Charge) *controlv1.Charge {
	if c == nil {
		return nil
	}
	return c.Message
}

func usageFrom(m *controlv1.Price_Usage, p *registry.Problems) *registry.Usage {
	const field = "price.usage."
	u := &registry.Usage{
		PerRequest: amountFrom(m.GetPerRequest(), field+"per_request", p),
		Hold:       amountFrom(m.GetHold(), field+"hold", p),
		Fallback:   amountFrom(m.GetFallback(), field+"fallback", p),
		Ceiling:    m.GetBound() == controlv1.Price_BOUND_CEILING,
	}
	for i, r := range m.GetRates() {
		u.Rates = append(u.Rates, registry.Rate{
			Unit: registry.Unit(r.GetUnit()), Header: r.GetHeader(),
			PerMillion: amountFrom(r.GetPerMillion(), fmt.Sprintf("%srates[%d].per_million", field, i), p),
		})
	}
	return u
}

func usageTo(u *registry.Usage) *controlv1.Price_Usage {
	m := &controlv1.Price_Usage{Hold: contract.MoneyToProto(u.Hold), Bound: controlv1.Price_BOUND_ESTIMATE}
	if u.Ceiling {
		m.Bound = controlv1.Price_BOUND_CEILING
	}
	if u.PerRequest != 0 {
		m.PerRequest = contract.MoneyToProto(u.PerRequest)
	}
	if u.Fallback != 0 {
		m.Fallback = contract.MoneyToProto(u.Fallback)
	}
	for _, r := range u.Rates {
		m.Rates = append(m.Rates, &controlv1.Price_Rate{
			Unit: controlv1.Price_Unit(r.Unit), Header: r.Header, PerMillion: contract.MoneyToProto(r.PerMillion),
		})
	}
	return m
}

// amountFrom reads an amount; one that cannot be read is a problem of its field.
func amountFrom(m *typemoney.Money, field string, p *registry.Problems) money.Nanos {
	n, err := contract.MoneyFromProto(m)
	if err != nil {
		p.Add(field, registry.Malformed, "The amount cannot be used: %s.", err)
	}
	return n
}
