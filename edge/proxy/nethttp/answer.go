package nethttp

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"tollgate/edge/proxy"
)

// answerBody ends the attempt with the body.
type answerBody struct {
	io.ReadCloser
	p      *progress
	resp   *http.Response
	closed atomic.Bool
}

// Close ends the attempt.
func (b *answerBody) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	if b.resp.ProtoMajor == 2 && !b.p.whole.Load() {
		b.p.cancel(nil) // else Close would wait for what the caller still sends
	}
	err := b.ReadCloser.Close()
	b.p.cancel(nil)
	b.p.body.stopped.Store(true) // what the caller still sends is not for this target
	b.p.link.done()
	return err
}

// trailers are what came behind the body, once it was read to its end.
func (b *answerBody) trailers() []proxy.Header { return TrailersOf(b.resp) }

// TrailersOf are those of an answer whose body was read to its end.
func TrailersOf(resp *http.Response) []proxy.Header { return listOf(resp.Trailer) }

// HeadersOf are the headers of an answer, and the names of the trailers that it has announced, which
// net/http keeps apart.
func HeadersOf(resp *http.Response) []proxy.Header {
	out := listOf(resp.Header)
	if len(resp.Trailer) > 0 {
		out = append(out, proxy.Header{Name: "Trailer", Value: strings.Join(slices.Sorted(maps.Keys(resp.Trailer)), ", ")})
	}
	return out
}

func mayHaveTrailers(resp *http.Response) bool {
	return resp.ProtoMajor == 2 || len(resp.TransferEncoding) > 0
}

// Unusable is what is wrong with an answer; empty if it can be passed on.
func Unusable(resp *http.Response, a *proxy.Attempt, maxLines int) string {
	switch status := resp.StatusCode; {
	case status == http.StatusSwitchingProtocols && a.Upgrade != "":
		if got := resp.Header.Get("Upgrade"); !strings.EqualFold(got, a.Upgrade) {
			return "it switched to another protocol than was asked for"
		}
		if _, ok := resp.Body.(io.Writer); !ok {
			return "it switched protocols without saying so"
		}
	case status < 200 || status > 999: // 101 to a request that asked for no upgrade
		return fmt.Sprintf("status %d answers nothing", status)
	}
	lines := 0
	for _, values := range resp.Header {
		lines += len(values)
	}
	if maxLines > 0 && lines > maxLines {
		return fmt.Sprintf("it has more than %d headers", maxLines)
	}
	return ""
}
