package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"tollgate/controlplane/access"
	"tollgate/controlplane/store"
	"tollgate/internal/config"
	"tollgate/internal/fault"
)

const (
	startPath    = OIDCPath + "start"
	callbackPath = OIDCPath + "callback"
	stateCookie  = "tollgate_oidc"
	stateLasts   = 10 * time.Minute
)

// OIDC is single sign-on by OpenID Connect.
type OIDC struct {
	Issuer       string        `yaml:"issuer"`        // URL of the provider; empty for no single sign-on
	ClientID     string        `yaml:"client_id"`     // as the provider knows this gateway
	ClientSecret config.Secret `yaml:"client_secret"` // that goes with it; may be empty where the provider demands none
	Name         string        `yaml:"name"`          // of the provider, for the button
	Scopes       []string      `yaml:"scopes"`        // asked for beside openid, email and profile
	Domains      []string      `yaml:"domains"`       // of e-mail addresses that may sign in; empty for all
	RolesClaim   string        `yaml:"roles_claim"`   // claim with the groups of a person
	Roles        []string      `yaml:"roles"`         // "group=role": what a group gives; the mightiest counts
	DefaultRole  string        `yaml:"default_role"`  // of somebody who is new and in no such group; empty refuses them
}

func (o *OIDC) name() string {
	if o.Name == "" && o.Issuer != "" {
		return "single sign-on"
	}
	return o.Name
}

// Validate reports every problem, each with the key under the section.
func (o *OIDC) Validate(bad func(key, format string, args ...any)) {
	if o.Issuer == "" {
		if o.ClientID != "" || o.ClientSecret != "" {
			bad("issuer", "must be set together with client_id")
		}
		return
	}
	if !strings.HasPrefix(o.Issuer, "https://") && !plainLoopback(o.Issuer) {
		bad("issuer", "%q is not an https URL", o.Issuer)
	}
	if o.ClientID == "" {
		bad("client_id", "must be set")
	}
	for _, entry := range o.Roles {
		group, role, ok := strings.Cut(entry, "=")
		if !ok || group == "" || !slices.Contains(access.RoleWords(), role) {
			bad("roles", "%q is not of the form group=role, with one of the roles %s", entry, strings.Join(access.RoleWords(), ", "))
		}
	}
	if len(o.Roles) > 0 && o.RolesClaim == "" {
		bad("roles_claim", "must be set together with roles")
	}
	if o.DefaultRole != "" && !slices.Contains(access.RoleWords(), o.DefaultRole) {
		bad("default_role", "%q is not one of %s", o.DefaultRole, strings.Join(access.RoleWords(), ", "))
	}
	if o.DefaultRole == "owner" {
		bad("default_role", "must not be owner: everybody whom the provider knows would be one")
	}
}

func plainLoopback(text string) bool {
	rest, ok := strings.CutPrefix(text, "http://")
	host, _, _ := strings.Cut(rest, "/")
	return ok && loopback(host)
}

// role is what the groups of a person give; empty for none.
func (o *OIDC) role(groups []string) string {
	for _, role := range access.RoleWords() { // the mightiest first
		for _, entry := range o.Roles {
			if group, gives, _ := strings.Cut(entry, "="); gives == role && slices.Contains(groups, group) {
				return role
			}
		}
	}
	return ""
}

// provider is asked about itself when it is first needed, because it may be away when this process starts.
type provider struct {
	cfg      OIDC
	redirect string
	client   *http.Client

	mu   sync.Mutex // guards oidc
	oidc *oidc.Provider
}

func (p *provider) discover(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.oidc == nil {
		// It is kept, so what it fetches later must not end with this request.
		found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.cfg.Issuer)
		if err != nil {
			return nil, nil, fault.New(fault.UnavailableErr, "The provider of single sign-on cannot be reached.").WithCause(err)
		}
		p.oidc = found
	}
	return p.oidc, &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret.Reveal(), Endpoint: p.oidc.Endpoint(), RedirectURL: p.redirect,
		Scopes: append([]string{oidc.ScopeOpenID, "email", "profile"}, p.cfg.Scopes...),
	}, nil
}

// journey is what this server remembers, in the browser, while somebody is at the provider.
type journey struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Return   string `json:"return"`
}

// startOIDC sends a browser to the provider.
func (s *Service) startOIDC(w http.ResponseWriter, r *http.Request) error {
	if s.provider == nil {
		return fault.New(fault.ObjectNotFound, "There is no single sign-on here.")
	}
	_, client, err := s.provider.discover(r.Context())
	if err != nil {
		return err
	}
	j := journey{rand.Text(), rand.Text(), oauth2.GenerateVerifier(), localPath(r.URL.Query().Get("return"))}
	value, err := s.sealer.seal(stateCookie, j, stateLasts)
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure but where there is no TLS to be had
		Name: stateCookie, Value: value, Path: s.path + callbackPath, MaxAge: int(stateLasts.Seconds()), HttpOnly: true,
		Secure: s.secure(RequestOf(r)), SameSite: http.SameSiteLaxMode, // the provider's answer comes from its site
	})
	http.Redirect(w, r, client.AuthCodeURL(j.State, oidc.Nonce(j.Nonce), oauth2.S256ChallengeOption(j.Verifier)), http.StatusSeeOther)
	return nil
}

// finishOIDC takes the provider's answer, of which nothing is believed that it did not sign for this journey.
func (s *Service) finishOIDC(w http.ResponseWriter, r *http.Request) error {
	if s.provider == nil {
		return fault.New(fault.ObjectNotFound, "There is no single sign-on here.")
	}
	var j journey
	cookie, err := r.Cookie(stateCookie)
	if err == nil {
		err = s.sealer.open(stateCookie, cookie.Value, &j)
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // as above
		Name: stateCookie, Path: s.path + callbackPath, MaxAge: -1, HttpOnly: true, Secure: s.secure(RequestOf(r)), SameSite: http.SameSiteLaxMode,
	})
	q := r.URL.Query()
	if err != nil || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(j.State)) != 1 {
		return refused("it was not begun in this browser, or too long ago", err)
	}
	if code := q.Get("error"); code != "" {
		return refused("the provider refused it", fmt.Errorf("%s: %s", clip(code, 64), clip(q.Get("error_description"), 256)))
	}
	in, err := s.provider.believe(r.Context(), q.Get("code"), j)
	if err != nil {
		return err
	}
	p, err := s.store.SignInBy(r.Context(), in)
	if err != nil {
		return err
	}
	s.forget() // the role may have changed
	started, err := s.begin(r.Context(), p, "oidc", From{Agent: agentOf(r), Address: s.Address(r)})
	if err != nil {
		return err
	}
	http.SetCookie(w, s.Cookie(RequestOf(r), started))
	http.Redirect(w, r, s.path+localPath(j.Return), http.StatusSeeOther)
	return nil
}

func refused(why string, cause error) error {
	return fault.New(fault.UnauthenticatedErr, "Single sign-on failed: %s.", why).WithHint("Begin again at /login.").WithCause(cause)
}

// believe exchanges the code for a token and checks who that is about.
func (p *provider) believe(ctx context.Context, code string, j journey) (store.SingleSignOn, error) {
	var none store.SingleSignOn
	found, client, err := p.discover(ctx)
	if err != nil {
		return none, err
	}
	answer, err := client.Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(j.Verifier))
	if err != nil {
		return none, refused("the provider did not take the code", withoutAnswer(err))
	}
	raw, ok := answer.Extra("id_token").(string)
	if !ok {
		return none, refused("the provider sent no token", nil)
	}
	token, err := found.Verifier(&oidc.Config{ClientID: p.cfg.ClientID}).Verify(oidc.ClientContext(ctx, p.client), raw)
	if err != nil {
		return none, refused("the provider's token is not good", err)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(j.Nonce)) != 1 {
		return none, refused("the provider's token is for another attempt", nil)
	}
	var said struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"` // some send it as text
		Name     string `json:"name"`
	}
	all := map[string]any{}
	if err := token.Claims(&said); err != nil {
		return none, refused("the provider's token cannot be read", err)
	}
	if err := token.Claims(&all); err != nil {
		return none, refused("the provider's token cannot be read", err)
	}
	email := Email(said.Email)
	if email == "" || said.Verified != true && said.Verified != "true" {
		return none, refused("the provider does not vouch for the e-mail address", nil)
	}
	if _, domain, _ := strings.Cut(email, "@"); len(p.cfg.Domains) > 0 &&
		!slices.ContainsFunc(p.cfg.Domains, func(d string) bool { return strings.EqualFold(d, domain) }) {
		return none, refused("addresses of "+domain+" may not sign in here", nil)
	}
	return store.SingleSignOn{
		Subject: token.Issuer + " " + token.Subject, Email: email, Name: clip(said.Name, 128),
		Role: p.cfg.role(texts(all[p.cfg.RolesClaim])), Default: p.cfg.DefaultRole,
	}, nil
}

// withoutAnswer leaves out what a provider says beside its error's code: it may quote the code or the client's secret, and is logged.
func withoutAnswer(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		status := 0
		if e.Response != nil {
			status = e.Response.StatusCode
		}
		return fmt.Errorf("status %d, error %q", status, clip(e.ErrorCode, 64))
	}
	return err
}

// texts are those in a claim, which is one or a list.
func texts(claim any) []string {
	switch v := claim.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v {
			if s, ok := one.(string); ok {
				all = append(all, s)
			}
		}
		return all
	default:
		return nil
	}
}

// localPath is where to go afterwards: nowhere but on this server.
func localPath(text string) string {
	if !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || strings.ContainsAny(text, "\\\r\n\t") {
		return "/"
	}
	return text
}
