// Package clients runs vendors' own client libraries and gRPC through a real gateway, against a vendor
// that answers with recorded answers. It promises that a program which changes its base URL and its key,
// and nothing else, sees what it saw before, and that the vendor gets nothing of ours and each call is in
// the books once, by the prices of the vendor's template at exactly what the vendor charges. It is a module of its own so that the product does not depend on those libraries; what
// single headers and bytes go through is tested where the edge is.
package clients
