package contract

import (
	"errors"

	typemoney "google.golang.org/genproto/googleapis/type/money"

	"tollgate/internal/money"
)

// MoneyToProto is an amount of US dollars as RPCs carry it.
func MoneyToProto(n money.Nanos) *typemoney.Money {
	units, nanos := n.Parts()
	return &typemoney.Money{CurrencyCode: "USD", Units: units, Nanos: nanos}
}

// MoneyFromProto reads an amount from an RPC. An empty currency means US dollars.
func MoneyFromProto(m *typemoney.Money) (money.Nanos, error) {
	if c := m.GetCurrencyCode(); c != "" && c != "USD" {
		return 0, errors.New("only USD is supported")
	}
	return money.FromParts(m.GetUnits(), m.GetNanos())
}
