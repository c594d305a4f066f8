package cli

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// targetFlags say where requests go, with which of several credentials.
type targetFlags struct {
	targets, credentials, removeCredentials []string
	balance, credentialBalance              string
}

func (f *targetFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.targets, "target", nil, "'URL [weight=N] [priority=N] [http=1.1|2] [sni=NAME] [ca=FILE] [cert=FILE|REFERENCE] [key=REFERENCE] [min-tls=1.2|1.3] [skip-verify]' that requests go to; repeat it for several")
	flags.StringVar(&f.balance, "balance", "", "which of several targets gets the next request: failover (in this order; the default), weighted or least-in-flight")
	flags.StringArrayVar(&f.credentials, "credential", nil, "'NAME [weight=N] [priority=N] HEADER: VALUE' or 'NAME … ?PARAMETER=VALUE', one of several vendor credentials that take turns; repeat it for more of them, or for more headers of one")
	flags.StringVar(&f.credentialBalance, "credential-balance", "", "which of several credentials is used next: failover (the default), weighted or least-in-flight")
}

var balances = map[string]controlv1.Balance{
	"failover":        controlv1.Balance_BALANCE_FAILOVER,
	"weighted":        controlv1.Balance_BALANCE_WEIGHTED,
	"least-in-flight": controlv1.Balance_BALANCE_LEAST_IN_FLIGHT,
}

// nameOf is the name that a table of flags' values has for one of them.
func nameOf[V comparable](names map[string]V, value V, otherwise string) string {
	for name, v := range names {
		if v == value {
			return name
		}
	}
	return otherwise
}

func balanceFlag(cmd *cobra.Command, flag, text string, to *controlv1.Balance) error {
	if !cmd.Flags().Changed(flag) {
		return nil
	}
	b, ok := balances[text]
	if !ok {
		return usage(cmd, "--%s is failover, weighted or least-in-flight, not %q.", flag, text)
	}
	*to = b
	return nil
}

func (f *targetFlags) change(cmd *cobra.Command, e *controlv1.Endpoint) error {
	if err := balanceFlag(cmd, "balance", f.balance, &e.Balance); err != nil {
		return err
	}
	if err := balanceFlag(cmd, "credential-balance", f.credentialBalance, &e.CredentialBalance); err != nil {
		return err
	}
	if len(f.targets) > 0 {
		e.Targets = nil
	}
	for _, text := range f.targets {
		t, err := readTarget(cmd, text)
		if err != nil {
			return err
		}
		e.Targets = append(e.Targets, t)
	}
	return f.changeCredentials(cmd, e)
}

var (
	httpVersions = map[string]controlv1.HttpVersion{
		"1.1": controlv1.HttpVersion_HTTP_VERSION_1_1, "2": controlv1.HttpVersion_HTTP_VERSION_2,
	}
	tlsVersions = map[string]controlv1.TlsVersion{
		"1.2": controlv1.TlsVersion_TLS_VERSION_1_2, "1.3": controlv1.TlsVersion_TLS_VERSION_1_3,
	}
)

func readTarget(cmd *cobra.Command, text string) (*controlv1.Target, error) {
	return targetOf(readWords(cmd, "target", text, true, append([]string{"weight=", "priority=", "http="}, tlsWords...)...))
}

// readURL reads a target that is the only one, and whose version of HTTP is not to be chosen.
func readURL(cmd *cobra.Command, text string) (*controlv1.Target, error) {
	return targetOf(readWords(cmd, "url", text, true, tlsWords...))
}

// tlsWords say how a connection is secured.
var tlsWords = []string{"sni=", "ca=", "cert=", "key=", "min-tls=", "skip-verify"}

func targetOf(w *words) (*controlv1.Target, error) {
	t := &controlv1.Target{Url: w.first, Weight: w.number("weight"), Priority: w.number("priority")}
	if v, ok := w.given["http"]; ok {
		if t.HttpVersion, ok = httpVersions[v]; !ok {
			w.fail("has http=%s; it is 1.1 or 2", v)
		}
	}
	tls := &controlv1.TargetTLS{ServerName: w.given["sni"], ClientKey: w.given["key"], SkipVerify: w.has("skip-verify")}
	if v, ok := w.given["min-tls"]; ok {
		if tls.MinVersion, ok = tlsVersions[v]; !ok {
			w.fail("has min-tls=%s; it is 1.2 or 1.3", v)
		}
	}
	for name, to := range map[string]*string{"ca": &tls.CaPem, "cert": &tls.ClientCertPem} {
		value, ok := w.given[name]
		switch {
		case !ok:
		case strings.HasPrefix(value, "${"):
			*to = value
		default:
			pem, err := os.ReadFile(value)
			if err != nil {
				w.fail("has %s=%s, which cannot be read", name, value)
			}
			*to = string(pem)
		}
	}
	for _, name := range tlsWords {
		if w.has(strings.TrimSuffix(name, "=")) {
			t.Tls = tls
		}
	}
	return t, w.err
}

// changeCredentials replaces credentials of the same name, and adds the others.
func (f *targetFlags) changeCredentials(cmd *cobra.Command, e *controlv1.Endpoint) error {
	at := func(name string) int {
		return slices.IndexFunc(e.Credentials, func(c *controlv1.Credential) bool { return c.GetName() == name })
	}
	for _, name := range f.removeCredentials {
		i := at(name)
		if i < 0 {
			return usage(cmd, "The endpoint has no credential %s.", name)
		}
		e.Credentials = slices.Delete(e.Credentials, i, i+1)
	}
	begun := map[string]bool{}
	for _, text := range f.credentials {
		name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		settings, carrier := credentialWords(rest)
		if carrier == "" || strings.ContainsAny(name, "?:=") {
			return usage(cmd, "--credential %q is not of the form 'NAME HEADER: VALUE' or 'NAME ?PARAMETER=VALUE'.", text)
		}
		w := readWords(cmd, "credential", settings, false, "weight=", "priority=")
		if w.err != nil {
			return w.err
		}
		i := at(name)
		switch {
		case i < 0:
			e.Credentials = append(e.Credentials, &controlv1.Credential{Name: name})
			i = len(e.Credentials) - 1
		case !begun[name]:
			e.Credentials[i] = &controlv1.Credential{Name: name}
		}
		begun[name] = true
		c := e.Credentials[i]
		if w.has("weight") {
			c.Weight = w.number("weight")
		}
		if w.has("priority") {
			c.Priority = w.number("priority")
		}
		if w.err != nil {
			return w.err
		}
		if err := addCarrier(cmd, c, carrier); err != nil {
			return err
		}
	}
	return nil
}

// credentialWords takes the words before the header off the text behind a credential's name.
func credentialWords(text string) (settings, carrier string) {
	for {
		word, rest, _ := strings.Cut(strings.TrimLeft(text, " "), " ")
		if !strings.HasPrefix(word, "weight=") && !strings.HasPrefix(word, "priority=") {
			return settings, strings.TrimSpace(text)
		}
		settings, text = settings+" "+word, rest
	}
}

func addCarrier(cmd *cobra.Command, c *controlv1.Credential, text string) error {
	if query, ok := strings.CutPrefix(text, "?"); ok {
		name, value, ok := strings.Cut(query, "=")
		if !ok || name == "" {
			return usage(cmd, "The credential %s has %q. Write a parameter as '?NAME=VALUE'.", c.GetName(), text)
		}
		c.Query = append(c.Query, &controlv1.QueryParameter{Name: name, Value: value, Mode: controlv1.Mode_MODE_SET})
		return nil
	}
	h, err := readHeader(cmd, text)
	if err != nil {
		return err
	}
	c.Headers = append(c.Headers, h)
	return nil
}

// targetText is a target in words.
func targetText(t *controlv1.Target) string {
	s := phrase{t.GetUrl()}
	s.number("weight", t.GetWeight())
	s.number("priority", t.GetPriority())
	s.add("http=", nameOf(httpVersions, t.GetHttpVersion(), ""), t.GetHttpVersion() != 0)
	tls := t.GetTls()
	s.add("sni=", tls.GetServerName(), tls.GetServerName() != "")
	s.add("min-tls=", nameOf(tlsVersions, tls.GetMinVersion(), ""), tls.GetMinVersion() != 0)
	s.add("own-ca", "", tls.GetCaPem() != "")
	s.add("client-cert", "", tls.GetClientCertPem() != "")
	s.add("SKIP-VERIFY", "", tls.GetSkipVerify())
	return s.String()
}

// describeTargets shows targets and credentials.
func describeTargets(t *table, e *controlv1.Endpoint) {
	if e.GetModels() != nil {
		describeServing(t, e.GetModels())
		return
	}
	for _, target := range e.GetTargets() {
		t.add("target", targetText(target))
	}
	if len(e.GetTargets()) > 1 {
		t.add("balance", nameOf(balances, e.GetBalance(), "failover"))
	}
	for _, c := range e.GetCredentials() {
		s := phrase{c.GetName()}
		s.number("weight", c.GetWeight())
		s.number("priority", c.GetPriority())
		for _, h := range c.GetHeaders() {
			s = append(s, h.GetName()+": "+h.GetValue())
		}
		for _, q := range c.GetQuery() {
			s = append(s, "?"+q.GetName()+"="+q.GetValue())
		}
		t.add("credential", s.String())
	}
	if len(e.GetCredentials()) > 1 {
		t.add("credentials", nameOf(balances, e.GetCredentialBalance(), "failover"))
	}
}
