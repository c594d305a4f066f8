package routing

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"tollgate/edge/breaker"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/fault"
	"tollgate/internal/headervalue"
)

// targets are those of an endpoint. Those that say no more than a URL are what older control planes send.
func (c *compiler) targets(e *Endpoint, from *eventv1.RouteEndpoint) error {
	list := from.GetRouteTargets()
	if len(list) == 0 {
		for _, raw := range from.GetTargets() {
			list = append(list, &eventv1.RouteTarget{Url: raw})
		}
	}
	switch {
	case from.GetModels() != nil:
		if len(list) > 0 {
			return errors.New("it serves models and has targets as well")
		}
		return nil
	case len(list) == 0:
		return errors.New("it has no target")
	case len(list) > mostChoices:
		return fmt.Errorf("it has more than %d targets", mostChoices)
	}
	settings, err := newBreaker(from.GetBreaker())
	if err != nil {
		return fmt.Errorf("breaker: %w", err)
	}
	connect, err := millis(from.GetConnectTimeoutMs(), "connect timeout")
	if err != nil {
		return err
	}
	for _, rt := range list {
		t, err := newTarget(rt.GetUrl())
		if err != nil {
			return err
		}
		t.Weight, t.Priority = max(1, rt.GetWeight()), rt.GetPriority()
		t.Breaker, t.BreakerKey = settings, breakerKey(t.Name, settings)
		t.Transport.Connect = connect
		if err := c.transport(e, t, rt); err != nil {
			return fmt.Errorf("target %s: %w", t.Name, err)
		}
		t.Key = connectionKey(t)
		e.Targets = append(e.Targets, t)
	}
	return nil
}

// transport is how connections to a target are made. What of it cannot be had, or does not fit together,
// takes the endpoint out.
func (c *compiler) transport(e *Endpoint, t *Target, from *eventv1.RouteTarget) error {
	switch t.Transport.HTTP = from.GetHttp(); t.Transport.HTTP {
	case eventv1.TargetHttp_TARGET_HTTP_UNSPECIFIED, eventv1.TargetHttp_TARGET_HTTP_1_1, eventv1.TargetHttp_TARGET_HTTP_2:
	default:
		return fmt.Errorf("version %s of HTTP is not known", t.Transport.HTTP)
	}
	switch from.GetMinTls() {
	case 0, 12:
	case 13:
		t.Transport.MinTLS = tls.VersionTLS13
	default:
		return fmt.Errorf("version %d of TLS is not known", from.GetMinTls())
	}
	if t.Scheme != "https" {
		t.Transport.MinTLS = 0
		return nil
	}
	t.Transport.ServerName, t.Transport.SkipVerify = from.GetServerName(), from.GetSkipVerify()
	for _, part := range []struct {
		to          *string
		value, what string
	}{
		{&t.Transport.CA, from.GetCaPem(), "The CA certificate of target "},
		{&t.Transport.ClientCert, from.GetClientCertPem(), "The client certificate of target "},
		{&t.Transport.ClientKey, from.GetClientKey(), "The client key of target "},
	} {
		text, why, err := c.text(part.value, part.what+t.Name, e, headervalue.Value.Text)
		if err != nil {
			return err
		}
		*part.to = text
		e.fail(why)
	}
	if e.Err == nil {
		e.fail(checkTLS(e, t))
	}
	return nil
}

// checkTLS finds out now what each request would fail at.
func checkTLS(e *Endpoint, t *Target) error {
	what, err := "CA certificate", checkAuthorities(t.Transport.CA)
	if err == nil {
		what, err = "client certificate", checkPair(t.Transport.ClientCert, t.Transport.ClientKey)
	}
	if err == nil {
		return nil
	}
	return fault.New(fault.SecretUnresolved, "The %s for target %s of endpoint %s can't be used: %s.", what, t.Name, e.Name, err).
		WithHint("Ask your gateway admin to check the TLS settings of the endpoint's target.").WithCause(err)
}

// checkAuthorities takes nothing, or certificates each of which can be read: of a list that is used in
// part nobody would know which part.
func checkAuthorities(text string) error {
	rest, n := []byte(text), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return errors.New("something in it is not a certificate")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return errors.New("a certificate in it cannot be read")
		}
		n++
	}
	if text != "" && n == 0 {
		return errors.New("there is no certificate in it")
	}
	return nil
}

// checkPair takes neither, or a certificate and the key that belongs to it. What exactly is wrong is not
// said: it is about a secret.
func checkPair(cert, key string) error {
	switch {
	case cert == "" && key == "":
		return nil
	case cert == "":
		return errors.New("there is a key without a certificate")
	case key == "":
		return errors.New("there is a certificate without its key")
	}
	if _, err := tls.X509KeyPair([]byte(cert), []byte(key)); err != nil {
		return errors.New("certificate and key cannot be read or do not belong together")
	}
	return nil
}

// connectionKey tells apart what connections must not be shared between. Equal settings make equal keys
// on all edges and at all times.
func connectionKey(t *Target) string {
	key := t.Scheme + "://" + t.Host
	if t.Transport == (Transport{}) {
		return key
	}
	s := &t.Transport
	plain := fmt.Sprint(int(s.HTTP), int64(s.Connect), s.MinTLS, s.SkipVerify)
	return key + "#" + digest(plain, s.CA, s.ClientCert, s.ClientKey, s.ServerName)
}

// breakerKey is the name of a target, and how it is judged where that is not as usual.
func breakerKey(name string, s breaker.Settings) string {
	if s == breaker.DefaultSettings() {
		return name
	}
	return fmt.Sprintf("%s (%d%% of %d in %s, %s)", name, s.FailPercent, s.MinEnded, s.Window, s.OpenFor)
}

// digest is a short hash of texts, each of which keeps to itself.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d %s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
