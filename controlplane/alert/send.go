package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"tollgate/controlplane/registry"
)

// Headers of what is sent.
const (
	idHeader        = "x-tollgate-alert-id"
	signatureHeader = "x-tollgate-signature"
)

const (
	mostAnswer = 256      // bytes of an answer that are shown
	mostRead   = 64 << 10 // bytes of an answer that are read, so that its connection can be used again
)

// Destination is what only the master key opens of a channel.
type Destination struct {
	URL     string `json:"url"`
	Signing string `json:"signing,omitempty"` // signs what webhooks get
}

// NewSigning makes a secret that signs.
func NewSigning() string { return "tgs_" + rand.Text() }

// Result is what came of sending an alert.
type Result struct {
	Delivered bool
	Status    int    // of the answer; 0 for none
	Answer    string // its beginning, if it is text
	Error     string // a sentence; empty if it was delivered
	Took      time.Duration
}

// Sender sends alerts. It is safe for concurrent use.
type Sender struct {
	vault     Opener
	within    time.Duration
	client    *http.Client
	transport *http.Transport
}

var errForbidden = errors.New("the address is link-local, a metadata service or unusable: alerts never go there")

// NewSender makes a sender. It follows no redirects, and connects to no address that answers with a machine's credentials, whatever
// name stands for it.
func NewSender(vault Opener, within time.Duration) *Sender {
	dialer := &net.Dialer{Timeout: within, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || registry.ForbiddenAddress(at.Addr()) {
			return errForbidden
		}
		return nil
	}}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: within, MaxResponseHeaderBytes: mostRead,
	}
	return &Sender{vault: vault, within: within, transport: transport, client: &http.Client{
		Transport: transport, Timeout: within,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (s *Sender) close() { s.transport.CloseIdleConnections() }

// Send sends an alert to the channel that an envelope belongs to.
func (s *Sender) Send(ctx context.Context, channelID string, kind registry.AlertChannelKind, envelope []byte, a *registry.Alert) Result {
	var to Destination
	raw, err := s.vault.Open(channelID, envelope)
	if err == nil {
		err = json.Unmarshal(raw, &to)
		clear(raw)
	}
	if err != nil {
		return Result{Error: "The channel's URL cannot be opened: the master key is another one. Enter the URL again."}
	}
	var body []byte
	switch kind {
	case registry.AlertSlack:
		body, err = json.Marshal(slackMessage(a))
	default:
		body, err = json.Marshal(a)
	}
	if err != nil {
		return Result{Error: "The alert cannot be written as JSON."}
	}
	began := time.Now()
	r := s.post(ctx, to, a.ID, body, began)
	r.Took = time.Since(began)
	return r
}

func (s *Sender) post(ctx context.Context, to Destination, id string, body []byte, now time.Time) Result {
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.URL, bytes.NewReader(body))
	if err != nil {
		return Result{Error: "The channel's URL is not one."}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tollgate-alerts")
	req.Header.Set(idHeader, id)
	if to.Signing != "" {
		req.Header.Set(signatureHeader, Sign(to.Signing, now, body))
	}
	res, err := s.client.Do(req)
	if err != nil {
		return Result{Error: failure(err, s.within)}
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(res.Body, mostRead)) // what came of it is known by its status
	r := Result{Status: res.StatusCode, Answer: text(raw), Delivered: res.StatusCode/100 == 2}
	switch {
	case r.Delivered:
	case res.StatusCode/100 == 3:
		r.Error = fmt.Sprintf("The receiver answered %d, a redirect: enter the URL that it leads to.", res.StatusCode)
	default:
		r.Error = fmt.Sprintf("The receiver answered %d.", res.StatusCode)
	}
	return r
}

// Sign makes the signature of a body: the time, and an HMAC of time and body under the channel's secret, so that neither can be
// changed and an old one can be told.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// failure says why nothing was answered, without the URL, which is a secret.
func failure(err error, within time.Duration) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, errForbidden) {
		return "Nobody may connect to the receiver: " + errForbidden.Error() + "."
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("The name of the receiver cannot be looked up: %s.", e.Err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("The receiver did not answer within %s.", within)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Sprintf("The receiver cannot be reached: %s: %s.", e.Op, e.Err)
	}
	return fmt.Sprintf("The receiver cannot be reached: %s.", err)
}

// text is the beginning of an answer in one line, if people can read it.
func text(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) > mostAnswer {
		raw = raw[:mostAnswer]
		for len(raw) > 0 && !utf8.Valid(raw) {
			raw = raw[:len(raw)-1]
		}
	}
	if !utf8.Valid(raw) {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, string(raw))
}
