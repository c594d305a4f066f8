package signin_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/signin"
	"tollgate/controlplane/store"
	"tollgate/internal/fault"
	"tollgate/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func migrate(ctx context.Context, url string) error { return store.Migrate(ctx, url, nil) }

// site is a control plane's pages, with a browser before them.
type site struct {
	*httptest.Server

	t       *testing.T
	store   *store.Store
	people  *signin.Service
	browser *http.Client
}

func newSite(t *testing.T, edit func(*signin.Config)) *site {
	t.Helper()
	s := &site{t: t, store: store.New(testenv.Postgres(t, migrate))}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.people.Pages().ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	cfg := signin.DefaultConfig()
	cfg.BaseURL = s.URL
	if edit != nil {
		edit(&cfg)
	}
	people, err := signin.New(cfg, s.store, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.people = people
	s.browser = newBrowser(t)
	return s
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// get opens a page and returns its status and text.
func (s *site) get(address string) (int, string) {
	s.t.Helper()
	res, err := s.browser.Get(address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// caller is who the browser is signed in as, or nil.
func (s *site) caller() *access.Caller {
	s.t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range s.browser.Jar.Cookies(u) {
		if c.Name == signin.CookieName {
			caller, err := s.people.Identify(s.t.Context(), c.Value, "127.0.0.1")
			if err != nil {
				s.t.Error(err)
			}
			return caller
		}
	}
	return nil
}

func withOIDC(p *idp, edit func(*signin.OIDC)) func(*signin.Config) {
	return func(c *signin.Config) {
		c.OIDC = signin.OIDC{
			Issuer: p.URL, ClientID: "tollgate", ClientSecret: "client-secret", Domains: []string{"example.com"},
			RolesClaim: "groups", Roles: []string{"ops=admin", "staff=viewer"},
		}
		if edit != nil {
			edit(&c.OIDC)
		}
	}
}

// Guarantee: who signs in at the provider is signed in here, in the mightiest role that their groups give, as the same person the
// next time whatever their address is by then.
func TestSingleSignOn(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.set("groups", []string{"staff", "ops"})
	s := newSite(t, withOIDC(p, nil))
	status, body := s.get(s.URL + "/auth/oidc/start?return=/device")
	c := s.caller()
	if c == nil || c.Actor != "ada@example.com" || !c.Everywhere.Has(access.PeopleWrite) || !strings.Contains(body, "Code that the command line shows") {
		t.Fatalf("%d %s %+v", status, body, c)
	}
	p.set("groups", "staff")
	p.set("email", "ada.l@example.com")
	s.browser = newBrowser(t)
	s.get(s.URL + "/auth/oidc/start?return=/device")
	again := s.caller()
	if again == nil || again.PersonID != c.PersonID || again.Everywhere.Has(access.PeopleWrite) || !again.Everywhere.Has(access.KeysRead) {
		t.Errorf("again: %+v", again)
	}
}

// Guarantee: nobody is signed in by an answer of the provider that is not for this attempt, not signed by it, not for this
// gateway, too old, or about an address that it does not vouch for.
func TestSingleSignOnRefuses(t *testing.T) {
	t.Parallel()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, break_ := range map[string]func(*idp){
		"nonce":           func(p *idp) { p.set("nonce", "other") },
		"no nonce":        func(p *idp) { p.set("nonce", nil) },
		"audience":        func(p *idp) { p.set("aud", "another") },
		"issuer":          func(p *idp) { p.set("iss", "https://other.example.com") },
		"expired":         func(p *idp) { p.set("exp", time.Now().Add(-time.Hour).Unix()) },
		"unverified":      func(p *idp) { p.set("email_verified", false) },
		"not said":        func(p *idp) { p.set("email_verified", nil) },
		"no address":      func(p *idp) { p.set("email", nil) },
		"another domain":  func(p *idp) { p.set("email", "ada@example.org") },
		"in no group":     func(p *idp) { p.set("groups", []string{"guests"}) },
		"signed by other": func(p *idp) { p.signer = other },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t)
			p.set("groups", []string{"staff"})
			break_(p)
			s := newSite(t, withOIDC(p, nil))
			if status, body := s.get(s.URL + "/auth/oidc/start"); status != http.StatusUnauthorized && status != http.StatusForbidden || s.caller() != nil {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

// Guarantee: an answer of the provider works once, in the browser that began, and in no other.
func TestSingleSignOnIsForOneBrowserOnce(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	p.set("groups", []string{"staff"})
	s := newSite(t, withOIDC(p, nil))
	var answer string
	s.browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/auth/oidc/callback") {
			answer = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	s.get(s.URL + "/auth/oidc/start")
	first := s.browser
	s.browser = newBrowser(t)
	if status, _ := s.get(answer); status != http.StatusUnauthorized || s.caller() != nil {
		t.Errorf("in another browser: %d", status)
	}
	s.browser = first
	if status, _ := s.get(answer + "x"); status != http.StatusUnauthorized || s.caller() != nil {
		t.Errorf("another state: %d", status)
	}
	s.browser = newBrowser(t)
	var cookie *http.Cookie
	s.browser.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/auth/oidc/callback") {
			answer = r.URL.String()
			cookie, _ = r.Cookie("tollgate_oidc")
			for _, c := range s.browser.Jar.Cookies(r.URL) {
				if c.Name == "tollgate_oidc" {
					cookie = c
				}
			}
		}
		return nil
	}
	s.get(s.URL + "/auth/oidc/start?return=/device")
	if s.caller() == nil || cookie == nil {
		t.Fatal("not signed in", answer)
	}
	// Sent again with the cookie that it came with, as who has overheard it could.
	s.browser = newBrowser(t)
	u, err := url.Parse(answer)
	if err != nil {
		t.Fatal(err)
	}
	s.browser.Jar.SetCookies(u, []*http.Cookie{{Name: cookie.Name, Value: cookie.Value, Path: "/auth/oidc/callback"}})
	if status, body := s.get(answer); status != http.StatusUnauthorized || s.caller() != nil || !strings.Contains(body, "did not take the code") {
		t.Errorf("again: %d %s", status, body)
	}
}

// Guarantee: somebody who was added by hand is found by the address that the provider vouches for, keeps their role, and nobody
// else can take their place; somebody who is not known is let in only in the role that new people get.
func TestSingleSignOnOfKnownPeople(t *testing.T) {
	t.Parallel()
	p := newIDP(t)
	s := newSite(t, withOIDC(p, nil))
	_, hash, lasts := signin.Invite()
	made, err := s.store.CreatePerson(t.Context(), "admin", access.Person{Email: "ada@example.com", Role: "owner"}, hash, lasts)
	if err != nil {
		t.Fatal(err)
	}
	p.set("groups", []string{"staff"}) // the last owner stays one
	s.get(s.URL + "/auth/oidc/start?return=/device")
	if c := s.caller(); c == nil || c.PersonID != made.ID || !c.Owner() {
		t.Errorf("%+v", c)
	}
	p.set("sub", "mallory")
	s.browser = newBrowser(t)
	if status, body := s.get(s.URL + "/auth/oidc/start"); status != http.StatusForbidden || s.caller() != nil {
		t.Errorf("another person with the address: %d %s", status, body)
	}
	p.set("email", "new@example.com")
	p.set("groups", nil)
	if status, _ := s.get(s.URL + "/auth/oidc/start"); status != http.StatusForbidden || s.caller() != nil {
		t.Errorf("somebody unknown: %d", status)
	}
	_, err = s.store.SignInBy(t.Context(), store.SingleSignOn{Subject: "x", Email: "new@example.com", Default: "viewer"})
	if err != nil {
		t.Error(err)
	}
	disabled := true
	if _, err := s.store.UpdatePerson(t.Context(), "admin", true, "new@example.com", "", store.PersonPatch{Disabled: &disabled}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.SignInBy(t.Context(), store.SingleSignOn{Subject: "x", Email: "new@example.com", Default: "viewer"}); fault.From(err).Code != fault.PermissionDenied {
		t.Errorf("disabled: %v", err)
	}
}
