package registry

import (
	"fmt"
	"slices"

	"tollgate/internal/headervalue"
)

// Place is a field that may hold references.
type Place struct {
	Field string // "headers[api_token]"
	Text  string
}

// places are all that an endpoint has. Headers and the like are told by their names, which people know them by.
func (e *Endpoint) places() []Place {
	all := sent("", e.Headers, e.Query)
	for _, c := range e.Credentials {
		all = append(all, sent("credentials["+c.Name+"].", c.Headers, c.Query)...)
	}
	for i, t := range e.Targets {
		all = append(all, t.places(fmt.Sprintf("targets[%d]", i))...)
	}
	if s := e.AWS; s != nil {
		all = append(all, Place{"aws_signing.access_key_id", s.AccessKeyID}, Place{"aws_signing.secret_access_key", s.SecretAccessKey},
			Place{"aws_signing.session_token", s.SessionToken}, Place{"aws_signing.external_id", s.ExternalID})
	}
	return all
}

func sent(at string, headers []Header, query []Query) (all []Place) {
	for _, h := range headers {
		all = append(all, Place{at + "headers[" + h.Name + "]", h.Value})
	}
	for _, q := range query {
		all = append(all, Place{at + "query[" + q.Name + "]", q.Value})
	}
	return all
}

func (t *Target) places(at string) []Place {
	if t.TLS == nil {
		return nil
	}
	all := []Place{{at + ".tls.client_key", t.TLS.ClientKey}}
	if reference(t.TLS.ClientCertPEM) { // otherwise it is the certificate itself
		all = append(all, Place{at + ".tls.client_cert_pem", t.TLS.ClientCertPEM})
	}
	return all
}

// SecretPlaces lists the fields of the endpoint that refer to a secret.
func (e *Endpoint) SecretPlaces(name string) []string { return placesOf(name, e.places()) }

// SecretPlaces lists the fields of the adapter that refer to a secret.
func (a *Adapter) SecretPlaces(name string) []string {
	return placesOf(name, append(sent("", a.Headers, nil), a.Target.places("target")...))
}

// SecretPlaces lists the fields of the model that refer to a secret.
func (m *Model) SecretPlaces(name string) []string {
	var all []Place
	for i := range m.Deployments {
		d := &m.Deployments[i]
		at := "deployments[" + d.Name + "]."
		all = append(all, Place{at + "api_key", d.APIKey})
		all = append(all, sent(at, d.Headers, d.Query)...)
		all = append(all, d.Target.places(at+"target")...)
	}
	return placesOf(name, all)
}

func placesOf(name string, all []Place) []string {
	var fields []string
	for _, p := range all {
		v, err := headervalue.Parse(p.Text)
		if err == nil && slices.Contains(v.Refs(), headervalue.Ref{Kind: headervalue.Secret, Name: name}) {
			fields = append(fields, p.Field)
		}
	}
	return slices.Compact(fields)
}
