package nethttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"tollgate/edge/proxy"
)

// explain finds out what an error of the Transport means.
func explain(ctx context.Context, p *progress, body *watchedBody, a *proxy.Attempt, err error) *proxy.AttemptError {
	connected, shared, first := p.state()
	if shared && wasTurnedAway(err) {
		p.turnedAway()
	}
	if shared && strings.Contains(err.Error(), neverUsed) {
		err = p.whyClosed(err)
	}
	e := &proxy.AttemptError{Sent: p.sent(ctx.Err() != nil), Whole: p.whole.Load(), Err: err}
	cause := context.Cause(ctx)
	unmade, text := Unconnected(err)
	switch {
	case errors.Is(cause, errHeaderTimeout) && !connected:
		e.Failure, e.Text = proxy.FailConnect, "it timed out"
	case errors.Is(cause, errHeaderTimeout):
		e.Failure, e.Text = proxy.FailTimeout, a.HeaderTimeout.String()
	case errors.Is(cause, errReplayed):
		e.Failure, e.Text = proxy.FailAnswer, "it closed the connection without an answer"
	case errors.Is(cause, errTurnedAway):
		e.Failure, e.Text, e.Whole = proxy.FailAnswer, "it did not take the request", false
	case ctx.Err() != nil:
		e.Failure, e.Text = proxy.FailCanceled, "the exchange ended"
	case body != nil && body.failure() != nil:
		e.Failure, e.Text, e.Err = proxy.FailBody, "the body could not be read", body.failure()
	case unmade != 0:
		e.Failure, e.Text = unmade, text
	case first && Unaccepted(err):
		e.Failure, e.Text, e.Sent, e.Whole = proxy.FailTLS, AlertText(err), false, false
	case connected && strings.Contains(err.Error(), tooManyHeaders):
		e.Failure, e.Text, e.Sent, e.Whole = proxy.FailRequest, "its headers are larger than the target takes", false, false
	case connected:
		e.Failure, e.Text = proxy.FailAnswer, AnswerText(err)
	default:
		e.Failure, e.Text = proxy.FailRequest, "it cannot be written as HTTP"
	}
	return e
}

// Unconnected says why a connection could not be made, if that is what err is about; else there is no failure.
func Unconnected(err error) (proxy.Failure, string) {
	if _, ok := errors.AsType[tlsError](err); ok {
		return proxy.FailTLS, tlsText(err)
	}
	if errors.Is(err, errAddress) {
		return proxy.FailRefused, "its address is one that this edge does not connect to"
	}
	if _, ok := errors.AsType[dialError](err); ok {
		return proxy.FailConnect, connectText(err)
	}
	return 0, ""
}

// Unaccepted says whether an error of the first use of a connection is that the target does not take the edge's certificate, which
// AlertText puts for people. TLS 1.3 tells a client so after the client has begun to send, and gives what was sent to nobody.
func Unaccepted(err error) bool { return isAlert(err) && aboutCertificate(err) }

// neverUsed is how the Transport puts that a connection ended before its first stream.
const neverUsed = "client conn could not be established"

// tooManyHeaders is how it puts that a target of HTTP/2 has said beforehand that it takes fewer.
const tooManyHeaders = "request header list larger than peer's advertised limit"

// wasTurnedAway says whether a target has said that it did not act on a request, and will not: by
// refusing its stream, or by leaving before it came to it. The Transport has no other way of telling than
// these texts.
func wasTurnedAway(err error) bool {
	const (
		again   = "http2: Transport: cannot retry err ["
		refused = "stream error: stream ID "
		left    = "http2: Transport received Server's graceful shutdown GOAWAY"
		failed  = "http2: Transport received GOAWAY from server ErrCode:"
	)
	text, _ := strings.CutPrefix(err.Error(), again)
	return strings.HasPrefix(text, left) || strings.HasPrefix(text, failed) ||
		strings.HasPrefix(text, refused) && strings.Contains(text, "; REFUSED_STREAM; received from peer")
}

// AnswerText is what an error says that came in place of an answer.
func AnswerText(err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, errInterims.Error()): // HTTP/2 keeps no more than the text of it
		return "it sent too many interim answers"
	case wasTurnedAway(err):
		return "it did not take the request"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed), strings.Contains(text, "server closed idle connection"),
		strings.Contains(text, "GOAWAY"), strings.Contains(text, neverUsed):
		return "it closed the connection without an answer"
	case strings.Contains(text, "headers exceeded"), strings.Contains(text, "header list larger"):
		return "its headers are too large"
	case strings.Contains(text, "COMPRESSION_ERROR"):
		return "its headers are too large or broken"
	case strings.Contains(text, "looked like an HTTP/1.1 header"):
		return "it does not speak HTTP/2"
	case strings.Contains(text, "stream error") && strings.Contains(text, "received from peer"):
		return "it broke the request off"
	default:
		return "what it sent is not HTTP"
	}
}

func connectText(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "the name does not exist"
		}
		return "the name could not be looked up"
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "it timed out"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to it"
	default:
		return "the connection failed"
	}
}

func tlsText(err error) string {
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "its certificate is for another name"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "its certificate has expired"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "its certificate is signed by an unknown authority"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "it does not speak TLS"
	}
	switch {
	case errors.Is(err, errNoHTTP2):
		return "it does not speak HTTP/2"
	case errors.Is(err, context.DeadlineExceeded):
		return "the handshake timed out"
	case isAlert(err):
		return AlertText(err)
	case strings.Contains(err.Error(), "unsupported protocol version"):
		return "its version of TLS is too old"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "it closed the connection during the handshake"
	}
	return "the handshake failed"
}

// isAlert says whether the other side has ended TLS by telling why.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// AlertText is what the other side says with an alert of TLS.
func AlertText(err error) string {
	switch text := err.Error(); {
	case strings.Contains(text, "certificate required"):
		return "it demands a certificate"
	case aboutCertificate(err):
		return "it does not take the edge's certificate"
	case strings.Contains(text, "no application protocol"):
		return "it speaks no version of HTTP that it may be spoken to in"
	case strings.Contains(text, "protocol version"):
		return "it speaks no version of TLS that it may be spoken to in"
	case strings.Contains(text, "unrecognized name"):
		return "it does not know the name it was asked for"
	default:
		return "it broke the handshake off"
	}
}

// aboutCertificate says whether an alert is about what the edge has shown. Such alerts end a handshake
// and come at no other time.
func aboutCertificate(err error) bool {
	text := err.Error()
	return strings.Contains(text, "certificate") || strings.Contains(text, "access denied")
}
