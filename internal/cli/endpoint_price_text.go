package cli

import (
	"cmp"
	"strings"

	typemoney "google.golang.org/genproto/googleapis/type/money"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// price is what an endpoint costs, in a few words.
func price(e *controlv1.Endpoint) string {
	if e.GetModels() != nil {
		return "as the models do"
	}
	switch k := e.GetPrice().GetKind().(type) {
	case *controlv1.Price_Free_:
		return "free"
	case *controlv1.Price_Fixed_:
		return dollars(k.Fixed.GetPerRequest()) + chargeText(k.Fixed.GetCharge())
	case *controlv1.Price_Usage_:
		return usageText(k.Usage)
	case *controlv1.Price_Metered:
		return meteredText(k.Metered)
	case *controlv1.Price_Reported_:
		return "as the target says, up to " + dollars(k.Reported.GetCeiling()) + chargeText(k.Reported.GetCharge())
	default:
		return "?"
	}
}

// unmatchedTexts say what becomes of requests that no meter reads.
var unmatchedTexts = map[string]string{
	"refuse": "the rest is refused", "free": "the rest is free", "unpriced": "the rest is unpriced",
}

func meteredText(m *controlv1.Metered) string {
	return "by " + several(len(m.GetMeters()), "meter") + "; " + unmatchedTexts[m.GetUnmatched()]
}

// chargeText says which answers are charged, where that is not the default.
func chargeText(c *controlv1.Charge) string {
	var s phrase
	s.add("", strings.Join(c.GetStatuses(), ", "), len(c.GetStatuses()) > 0)
	s.add("of ", strings.Join(c.GetMethods(), ", "), len(c.GetMethods()) > 0)
	s.add("on conditions", "", len(c.GetOnlyIf())+len(c.GetUnless()) > 0)
	if len(s) == 0 {
		return ""
	}
	return " (" + s.String() + ")"
}

// describePrice adds what a price does beside what its few words say.
func describePrice(t *table, p *controlv1.Price) {
	t.add("price", price(&controlv1.Endpoint{Price: p}))
	switch k := p.GetKind().(type) {
	case *controlv1.Price_Usage_:
		describeUsage(t, k.Usage)
	case *controlv1.Price_Metered:
		describeMeters(t, k.Metered)
	case *controlv1.Price_Reported_:
		t.add("said in", k.Reported.GetHeader())
		t.add("if not told", dollars(cmp.Or(k.Reported.GetFallback(), &typemoney.Money{}))+", marked as unpriced")
	}
	c := chargeOf(p)
	for _, condition := range c.GetOnlyIf() {
		t.add("charged if", conditionText(condition))
	}
	for _, condition := range c.GetUnless() {
		t.add("not charged if", conditionText(condition))
	}
}

func describeMeters(t *table, m *controlv1.Metered) {
	for _, meter := range m.GetMeters() {
		t.add("meter", meterText(meter))
	}
	if m.GetFallback() == "held" {
		t.add("if not known", "all that was held, marked as unpriced")
	} else {
		t.add("if not known", "$"+m.GetFallback()+" beside what is known, marked as unpriced")
	}
}

// conditionText is a condition in words: "frame status is failed or error".
func conditionText(c *controlv1.Condition) string {
	text := sourceText(c.GetSource())
	if len(c.GetIn()) == 0 {
		return text + " is there"
	}
	return text + " is " + strings.Join(c.GetIn(), " or ")
}

func sourceText(s *controlv1.Source) string {
	m := s.ProtoReflect()
	place := m.WhichOneof(m.Descriptor().Oneofs().ByName("place"))
	if place == nil {
		return "?"
	}
	text := strings.ReplaceAll(string(place.Name()), "_", " ") + " " + m.Get(place).String()
	if s.GetEvent() != "" {
		text += " of " + s.GetEvent()
	}
	return text
}
