package clients_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
)

const (
	awsKeyID  = "AKIAVENDOR0000000000"
	awsRegion = "eu-central-1"
	awsModel  = "eu.amazon.nova-micro-v1:0"
	through   = "/through" // begins the paths of what the gateway sends
)

// bedrock is a service that takes only what is signed with the vendor's credentials.
type bedrock struct {
	*httptest.Server

	mu       sync.Mutex
	calls    int
	problems []string
}

func newBedrock(t *testing.T) *bedrock {
	t.Helper()
	b := &bedrock{}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *bedrock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	err = checkSigned(r, body)
	b.mu.Lock()
	b.calls++
	if err != nil {
		b.problems = append(b.problems, fmt.Sprintf("%s %s: %v", r.Method, r.RequestURI, err))
	}
	b.mu.Unlock()
	recording := "bedrock/converse--test-converse-tool-use-message"
	if strings.HasSuffix(r.URL.Path, "-stream") {
		recording = "bedrock/converse-stream--test-bedrock-model-iter-stream"
	}
	a, errRead := recorded(recording)
	switch {
	case err != nil:
		w.Header().Set("X-Amzn-Errortype", "InvalidSignatureException")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"The request signature we calculated does not match the signature you provided."}`)
	case errRead != nil:
		w.WriteHeader(http.StatusTeapot)
	default:
		w.Header().Set("Content-Type", "application/json")
		if a.stream {
			w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		}
		_, _ = w.Write(a.body)
	}
}

// checkSigned makes the signature that the request must have, with AWS's library.
func checkSigned(r *http.Request, body []byte) error {
	got := r.Header.Get("Authorization")
	_, rest, _ := strings.Cut(got, "SignedHeaders=")
	names, _, _ := strings.Cut(rest, ",")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return fmt.Errorf("X-Amz-Date: %w", err)
	}
	if d := time.Since(at); d > 5*time.Minute || d < -5*time.Minute {
		return fmt.Errorf("it was signed at %s", at)
	}
	again := &http.Request{
		Method: r.Method, Host: r.Host, Header: http.Header{},
		URL: &url.URL{Scheme: "http", Host: r.Host, Opaque: "//" + r.Host + r.URL.EscapedPath(), RawQuery: r.URL.RawQuery},
	}
	for name := range strings.SplitSeq(names, ";") {
		if name == "content-length" {
			again.ContentLength = r.ContentLength
		}
		if values := r.Header.Values(name); len(values) > 0 {
			again.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	sum := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: awsKeyID, SecretAccessKey: vendorKey}
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, again, hex.EncodeToString(sum[:]), "bedrock", awsRegion, at); err != nil {
		return err
	}
	if want := again.Header.Get("Authorization"); got != want {
		return fmt.Errorf("it is signed %q, and not %q", got, want)
	}
	for name := range r.Header {
		if !strings.HasPrefix(r.RequestURI, through) {
			break
		}
		if n := strings.ToLower(name); strings.HasPrefix(n, "amz-sdk") || strings.HasPrefix(n, "x-tollgate") {
			return fmt.Errorf("it has the header %s", name)
		}
	}
	return nil
}

// newSigningRoute makes an endpoint that signs.
func newSigningRoute(t *testing.T, name, target string) route {
	t.Helper()
	must(t, "endpoint", "create", name, "--template", "bedrock", "--param", "region="+awsRegion, "--path", "/"+name, "--target", target+through,
		"--secret", "aws-access-key-id=env:VENDOR_KEY_ID", "--secret", "aws-secret-access-key=env:VENDOR_KEY")
	return route{name: name, url: theGateway.url + "/" + name, direct: target, key: newKey(t, name, name)}
}

// bedrockClient is AWS's own, with a key in the place of the access key id.
func bedrockClient(base, keyID, secret string) *bedrockruntime.Client {
	return bedrockruntime.New(bedrockruntime.Options{
		BaseEndpoint: aws.String(base), Region: awsRegion, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, nil
		}),
	})
}

// Guarantee: a program that uses AWS's Go library for Bedrock, with the gateway's address and a key as its access
// key id, sees the same as from the vendor, which takes nothing but what is signed with its own credentials. Each
// call is charged what the vendor charges for it.
func TestBedrock(t *testing.T) {
	t.Parallel()
	v := newBedrock(t)
	r := newSigningRoute(t, "bedrock-go", v.URL)
	client := func(direct bool) *bedrockruntime.Client {
		if direct {
			return bedrockClient(r.direct, awsKeyID, vendorKey)
		}
		return bedrockClient(r.url, r.key, "anything")
	}
	messages := []types.Message{{Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Olá, 🙂 <&>"}}}}
	tools := &types.ToolConfiguration{Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
		Name: aws.String("top_song"), InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(map[string]any{"type": "object"})},
	}}}}
	converse := same(t, "converse", func(direct bool) (*bedrockruntime.ConverseOutput, error) {
		out, err := client(direct).Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(awsModel), Messages: messages, ToolConfig: tools})
		if err == nil {
			out.ResultMetadata.Set("", nil) // of the exchange, with its time
		}
		return out, err
	})
	if converse == nil || converse.StopReason != types.StopReasonToolUse || aws.ToInt32(converse.Usage.InputTokens) != 90 {
		t.Errorf("%+v", converse)
	}
	events := same(t, "converse, as a stream", func(direct bool) ([]types.ConverseStreamOutput, error) {
		out, err := client(direct).ConverseStream(t.Context(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String(awsModel), Messages: messages})
		if err != nil {
			return nil, err
		}
		s := out.GetStream()
		defer s.Close()
		var all []types.ConverseStreamOutput
		for e := range s.Events() {
			all = append(all, e)
		}
		return all, s.Err()
	})
	if _, ok := events[len(events)-1].(*types.ConverseStreamOutputMemberMetadata); !ok || len(events) < 5 {
		t.Errorf("%d events", len(events))
	}
	_, err := bedrockClient(r.url, "AKIASOMEBODYELSE0000", "anything").Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String(awsModel), Messages: messages})
	if err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("another's key id: %v", err)
	}
	compareCharges(t, r.name, []charge{
		{"converse", awsModel, "input=90,output=14", "0.000006716"},
		{"converse", awsModel, "input=577,output=18", "0.000029854"},
	})
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.calls != 4 {
		t.Errorf("the vendor got %d calls, and should have got 2 from each side", v.calls)
	}
	for _, p := range v.problems {
		t.Error(p)
	}
}
