package secrets

import (
	"net/url"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/tink-crypto/tink-go-hcvault/v2/integration/hcvault"
	"github.com/tink-crypto/tink-go/v2/tink"
)

const vaultScheme = "hcvault://"

// vaultKey is a key of Vault's transit engine. The token, the authorities of its certificate and the namespace come from where
// Vault's own tools have them: VAULT_TOKEN, VAULT_CACERT and VAULT_NAMESPACE.
func vaultKey(uri string) (tink.AEAD, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, err
	}
	cfg := api.DefaultConfig()
	if cfg.Error != nil {
		return nil, cfg.Error
	}
	// VAULT_ADDR says how the host is spoken to, if it is that of the URI.
	if at, err := url.Parse(cfg.Address); err != nil || !strings.EqualFold(at.Host, u.Host) {
		cfg.Address = "https://" + u.Host
	}
	client, err := api.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	return hcvault.NewAEAD(u.EscapedPath(), client.Logical())
}
