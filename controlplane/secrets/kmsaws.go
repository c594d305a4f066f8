package secrets

import (
	"context"

	"github.com/tink-crypto/tink-go-awskms/v3/integration/awskms"
	"github.com/tink-crypto/tink-go/v2/tink"
)

const awsScheme = "aws-kms://"

// awsKey is a key of AWS KMS. Credentials come from where AWS's own tools have them.
func awsKey(ctx context.Context, uri string) (tink.AEAD, error) {
	client, err := awskms.NewClientWithOptions(ctx, uri)
	if err != nil {
		return nil, err
	}
	return client.GetAEAD(uri)
}
