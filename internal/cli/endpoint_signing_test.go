package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: of a key's id that is written out no more is shown than its kind; a reference is shown whole, and what
// is secret not at all.
func TestSigningIsShownInPart(t *testing.T) {
	t.Parallel()
	var got table
	describeSigning(&got, nil)
	for _, id := range []string{"AKIAIOSFODNN7EXAMPLE", "${secret:aws-id}", "AKI"} {
		describeSigning(&got, &controlv1.AwsSigning{
			Service: "bedrock", Region: "us-east-1", AccessKeyId: id, SecretAccessKey: "${secret:aws}", RoleArn: "arn:aws:iam::123456789012:role/r",
		})
	}
	const role = "arn:aws:iam::123456789012:role/r"
	want := [][]string{
		{"signs", "for AWS bedrock in us-east-1 with AKIA…"},
		{"as role", role},
		{"signs", "for AWS bedrock in us-east-1 with ${secret:aws-id}"},
		{"as role", role},
		{"signs", "for AWS bedrock in us-east-1 with AKI"},
		{"as role", role},
	}
	if diff := cmp.Diff(want, got.rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}
