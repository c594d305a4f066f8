package fault

import "net/http"

// Code names an entry of the catalogue. Codes are part of the API: they never change meaning.
type Code string

// Errors of a gateway.
const (
	KeyMissing          Code = "key_missing"
	KeyUnknown          Code = "key_unknown"
	KeyExpired          Code = "key_expired"
	KeyRevoked          Code = "key_revoked"
	KeyNotAllowed       Code = "key_not_allowed"
	EndpointNotFound    Code = "endpoint_not_found"
	MethodNotAllowed    Code = "method_not_allowed"
	PathInvalid         Code = "path_invalid"
	BudgetExhausted     Code = "budget_exhausted"
	BudgetUnavailable   Code = "budget_unavailable"
	RateLimited         Code = "rate_limited"
	LimitUnavailable    Code = "limit_unavailable"
	LabelInvalid        Code = "label_invalid"
	BodyTooLarge        Code = "body_too_large"
	BodyInvalid         Code = "body_invalid"
	Overloaded          Code = "overloaded"
	UpstreamUnreachable Code = "upstream_unreachable"
	UpstreamTLS         Code = "upstream_tls"
	UpstreamTimeout     Code = "upstream_timeout"
	BreakerOpen         Code = "breaker_open"
	SecretUnresolved    Code = "secret_unresolved"
	SnapshotMissing     Code = "snapshot_missing"
	SpoolUnavailable    Code = "spool_unavailable"
	ShuttingDown        Code = "shutting_down"
	UpgradeUnsupported  Code = "upgrade_unsupported"
	UpstreamUnavailable Code = "upstream_unavailable"
	UpstreamThrottled   Code = "upstream_throttled"
	HeadersTooLarge     Code = "headers_too_large"
	RequestMalformed    Code = "request_malformed"
	EncodingUnsupported Code = "transfer_encoding_unsupported"

	SignatureUnsupported Code = "signature_unsupported"
	NotPriced            Code = "not_priced"

	ModelNotFound       Code = "model_not_found"
	ModelNotAllowed     Code = "model_not_allowed"
	RequestUnsupported  Code = "request_unsupported"
	AdapterUnavailable  Code = "adapter_unavailable"
	AdapterFailed       Code = "adapter_failed"
	UpstreamRefused     Code = "upstream_refused"
	UpstreamAnswerWrong Code = "upstream_answer_invalid"

	EndpointDisabled    Code = "endpoint_disabled"
	KeyBlocked          Code = "key_blocked"
	CustomerBlocked     Code = "customer_blocked"
	CustomerRequired    Code = "customer_required"
	CustomerUnavailable Code = "customer_unavailable"
)

// Errors of the control plane and the CLI.
const (
	InvalidArgument    Code = "invalid_argument"
	ObjectNotFound     Code = "not_found"
	AlreadyExists      Code = "already_exists"
	StaleETag          Code = "stale_etag"
	FailedPrecondition Code = "failed_precondition"
	UnauthenticatedErr Code = "unauthenticated"
	PermissionDenied   Code = "permission_denied"
	UnavailableErr     Code = "unavailable"
	DeadlineExceeded   Code = "deadline_exceeded"
	InternalError      Code = "internal_error"
	ManagedByFile      Code = "managed_by_file"
	IdempotencyReused  Code = "idempotency_key_reused"
)

type entry struct {
	kind   Kind
	status int
	hint   string
}

var catalogue = map[Code]entry{
	KeyMissing:          {Unauthenticated, http.StatusUnauthorized, "Send `Authorization: Bearer <key>`. The headers x-api-key, api-key, x-goog-api-key and x-litellm-api-key, Basic credentials and ?key= are read as well."},
	KeyUnknown:          {Unauthenticated, http.StatusUnauthorized, "Check for a truncated or mistyped key, or ask your gateway admin for a new one."},
	KeyExpired:          {Unauthenticated, http.StatusUnauthorized, "Ask your gateway admin for a new key."},
	KeyRevoked:          {Unauthenticated, http.StatusUnauthorized, "Ask your gateway admin for a new key."},
	KeyNotAllowed:       {Denied, http.StatusForbidden, "Ask your gateway admin to allow this endpoint for the key."},
	EndpointNotFound:    {NotFound, http.StatusNotFound, "Check the path, or list the endpoints with `tollgate endpoint list`."},
	MethodNotAllowed:    {Invalid, http.StatusMethodNotAllowed, "Use one of the methods in the Allow header."},
	PathInvalid:         {Invalid, http.StatusBadRequest, "Send the path without dot segments that leave the endpoint."},
	BudgetExhausted:     {Exhausted, http.StatusPaymentRequired, "Ask your gateway admin to raise the budget."},
	BudgetUnavailable:   {Unavailable, http.StatusServiceUnavailable, "Try again shortly: this edge holds no money of the budget and cannot reach the ledger to get some."},
	RateLimited:         {Exhausted, http.StatusTooManyRequests, "Try again when the Retry-After time has passed, or ask your gateway admin to raise the limit."},
	LimitUnavailable:    {Unavailable, http.StatusServiceUnavailable, "Try again shortly: this edge cannot reach the ledger, and the limit admits nothing without it."},
	LabelInvalid:        {Invalid, http.StatusBadRequest, "Send x-tollgate-customer and x-tollgate-tags as names of up to 128 letters, digits and . _ @ : -, tags separated by commas."},
	BodyTooLarge:        {Invalid, http.StatusRequestEntityTooLarge, "Send a smaller body, or ask your gateway admin to raise the endpoint's limit."},
	BodyInvalid:         {Invalid, http.StatusBadRequest, "Send the body that the headers announce."},
	Overloaded:          {Unavailable, http.StatusServiceUnavailable, "Try again shortly, or let another edge take it: this one serves as many requests as it may."},
	UpstreamUnreachable: {Unavailable, http.StatusBadGateway, "Nothing was charged. Check the target's address and that it can be reached from this edge."},
	UpstreamTLS:         {Unavailable, http.StatusBadGateway, "Nothing was charged. Check the target's certificate."},
	UpstreamTimeout:     {Timeout, http.StatusGatewayTimeout, "Nothing was charged. Try again, or ask your gateway admin to raise the endpoint's timeout."},
	BreakerOpen:         {Unavailable, http.StatusServiceUnavailable, "Nothing was charged. Try again when the Retry-After time has passed."},
	SecretUnresolved:    {Internal, http.StatusInternalServerError, "Ask your gateway admin to check the secret or environment variable that the endpoint's headers refer to."},
	SnapshotMissing:     {Unavailable, http.StatusServiceUnavailable, "This edge has not received a configuration yet: check that it reaches NATS and that the control plane has published."},
	SpoolUnavailable:    {Unavailable, http.StatusServiceUnavailable, "This edge cannot record spend on its disk, so it admits no priced request: check its spool directory for space and errors."},
	ShuttingDown:        {Unavailable, http.StatusServiceUnavailable, "This edge is stopping: send the request again, another edge will take it."},
	NotPriced:           {Denied, http.StatusForbidden, "Ask your gateway admin to add a meter that reads such requests, or to say that they are free."},
	UpstreamUnavailable: {Unavailable, http.StatusServiceUnavailable, "Nothing was charged. Try again when the Retry-After time has passed."},
	UpstreamThrottled:   {Exhausted, http.StatusTooManyRequests, "Nothing was charged. Try again when the Retry-After time has passed, or ask your gateway admin to add a credential of the vendor."},
	HeadersTooLarge:     {Invalid, http.StatusRequestHeaderFieldsTooLarge, "Send fewer or shorter headers."},
	RequestMalformed:    {Invalid, http.StatusBadRequest, "Send a request of HTTP/1.1 or HTTP/2 whose head and body everybody reads alike; the connection was closed."},
	EncodingUnsupported: {Invalid, http.StatusNotImplemented, "Send the body with Content-Length, or with Transfer-Encoding: chunked alone."},
	UpgradeUnsupported:  {Invalid, http.StatusNotImplemented, "Send the request without the Upgrade header."},

	ModelNotFound:       {NotFound, http.StatusNotFound, "List the models that your key may ask for with GET /v1/models."},
	ModelNotAllowed:     {Denied, http.StatusForbidden, "Ask your gateway admin to allow this model for the key."},
	RequestUnsupported:  {Invalid, http.StatusBadRequest, "Leave out what is named, or ask for a model whose vendor can do it."},
	AdapterUnavailable:  {Unavailable, http.StatusServiceUnavailable, "Try again shortly, or ask your gateway admin to look after the adapter."},
	AdapterFailed:       {Internal, http.StatusBadGateway, "Ask your gateway admin to look at the adapter's log."},
	UpstreamRefused:     {Unavailable, http.StatusBadGateway, "Nothing was charged. Ask your gateway admin to check the credential of the deployment."},
	UpstreamAnswerWrong: {Unavailable, http.StatusBadGateway, "Try again; if it persists, ask your gateway admin to look at what the vendor answers."},

	EndpointDisabled:    {Unavailable, http.StatusServiceUnavailable, "Ask your gateway admin to enable the endpoint."},
	KeyBlocked:          {Denied, http.StatusForbidden, "Ask your gateway admin to unblock the key."},
	CustomerBlocked:     {Denied, http.StatusForbidden, "Ask your gateway admin to unblock the customer."},
	CustomerRequired:    {Invalid, http.StatusBadRequest, "Name the customer in the header x-tollgate-customer."},
	CustomerUnavailable: {Unavailable, http.StatusServiceUnavailable, "Try again shortly: the customer is new, and this edge could not learn its budget in time."},

	ManagedByFile:     {Conflict, http.StatusConflict, "Change the file and apply it, or send x-tollgate-override: managed (the CLI has --force) to change it all the same."},
	IdempotencyReused: {Conflict, http.StatusConflict, "Use a new Idempotency-Key for each change, and the same one only to send the same call again."},

	InvalidArgument:    {Invalid, http.StatusBadRequest, "Correct the fields that are named and send it again."},
	ObjectNotFound:     {NotFound, http.StatusNotFound, "Check the name or id; it may have been deleted."},
	AlreadyExists:      {Exists, http.StatusConflict, "Choose another name or path, or change the one that exists."},
	StaleETag:          {Conflict, http.StatusConflict, "Read it again, apply your change to what you get, and send that with its etag."},
	FailedPrecondition: {Precondition, http.StatusBadRequest, "Change what stands in the way first."},
	UnauthenticatedErr: {Unauthenticated, http.StatusUnauthorized, "Send `Authorization: Bearer <admin token>`, or set TOLLGATE_TOKEN for the CLI."},
	PermissionDenied:   {Denied, http.StatusForbidden, "Use a token that has the right."},
	UnavailableErr:     {Unavailable, http.StatusServiceUnavailable, "Try again shortly."},
	DeadlineExceeded:   {Timeout, http.StatusGatewayTimeout, "Try again, or allow more time."},
	InternalError:      {Internal, http.StatusInternalServerError, "Try again; if it persists, look up the request id in Tollgate's log."},

	SignatureUnsupported: {Invalid, http.StatusBadRequest, "Send the request unsigned, with your key: the target gets the endpoint's own credential."},
}

func entryOf(code Code) entry {
	if e, ok := catalogue[code]; ok {
		return e
	}
	return catalogue[InternalError]
}

// Codes lists the catalogue, in no order.
func Codes() []Code {
	codes := make([]Code, 0, len(catalogue))
	for c := range catalogue {
		codes = append(codes, c)
	}
	return codes
}

// Describe is the status and the general hint of a code, for reference pages.
func Describe(code Code) (kind Kind, status int, hint string, ok bool) {
	e, ok := catalogue[code]
	return e.kind, e.status, e.hint, ok
}
