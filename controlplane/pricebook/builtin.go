package pricebook

import (
	_ "embed"
	"sync"
)

// The file is what data/SOURCES.md says it is, unchanged but for its compression.
//
//go:embed data/litellm_model_prices.2026-08-06.json.gz
var shipped []byte

const (
	shippedSource  = "LiteLLM model_prices_and_context_window.json (github.com/Prajwalsrinvas/token-tariff at dc2baf9d80f97138860483855433ff2936886b20)"
	shippedDate    = "2026-08-06"
	shippedLicence = "MIT"
)

// Builtin is the book that comes with this version of Tollgate. It is read when it is first asked for; nobody may
// change it.
var Builtin = sync.OnceValues(func() (*Book, error) {
	b, err := Parse(shipped, shippedDate)
	if err != nil {
		return nil, err
	}
	b.Source, b.Date, b.Licence = shippedSource, shippedDate, shippedLicence
	return b, nil
})
