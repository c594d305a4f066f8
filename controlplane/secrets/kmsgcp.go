package secrets

import (
	"context"

	"github.com/tink-crypto/tink-go-gcpkms/v2/integration/gcpkms"
	"github.com/tink-crypto/tink-go/v2/tink"
)

const gcpScheme = "gcp-kms://"

// gcpKey is a key of Google Cloud KMS. Credentials are the application's default ones.
func gcpKey(ctx context.Context, uri string) (tink.AEAD, error) {
	client, err := gcpkms.NewClientWithOptions(ctx, uri)
	if err != nil {
		return nil, err
	}
	return client.GetAEAD(uri)
}
