package signin

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"tollgate/controlplane/access"
	"tollgate/internal/fault"
)

//go:embed page.html
var pageText string

// The page has one script, which moves the secret of a link from the address into the form. What it and the style are is said
// by their hashes, so nothing else runs.
const (
	pageScript = `const t=new URLSearchParams(location.hash.slice(1)).get("token");if(t){document.getElementById("token").value=t;history.replaceState(null,"",location.pathname)}`
	pageStyle  = `body{font:16px/1.5 system-ui,sans-serif;max-width:24rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}` +
		`label{display:block;margin:.75rem 0}input{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.4rem}` +
		`button{font:inherit;padding:.4rem 1rem;margin:.5rem .5rem 0 0}.bad{border-left:4px solid #c00;padding-left:.75rem}.code{font:1.5rem monospace}`
)

var page = template.Must(template.New("page").Parse(pageText))

var pagePolicy = fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	policyHash(pageScript), policyHash(pageStyle))

func policyHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// view is what the page shows.
type view struct {
	Kind     string // login, setup, device, done
	Base     string // path before every link
	Title    string
	Problem  string
	Hint     string
	Return   string
	Email    string
	Name     string
	Provider string
	SSO      string // address of single sign-on
	Code     string
	Agent    string
	Text     string
	Script   template.JS
	Style    template.CSS
}

// Pages serves signing in for browsers where there is no console: /login, /setup, /device and /auth/oidc/.
func (s *Service) Pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		s.show(w, r, view{Kind: "login", Return: localPath(r.FormValue("return"))}, nil)
	})
	mux.HandleFunc("POST /login", s.postLogin)
	mux.HandleFunc("GET /setup", func(w http.ResponseWriter, r *http.Request) { s.show(w, r, view{Kind: "setup"}, nil) })
	mux.HandleFunc("POST /setup", s.postSetup)
	mux.HandleFunc("GET /device", s.getDevice)
	mux.HandleFunc("POST /device", s.postDevice)
	s.handleOIDC(mux, "login")
	return s.ours(mux)
}

// SingleSignOn serves what of it is no page of the console's: the ways to the provider and back, both below /auth/oidc/.
func (s *Service) SingleSignOn() http.Handler {
	mux := http.NewServeMux()
	s.handleOIDC(mux, "done")
	return s.ours(mux)
}

// handleOIDC adds both ways. What fails is said on a page of a kind.
func (s *Service) handleOIDC(mux *http.ServeMux, kind string) {
	orSay := func(f func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if err := f(w, r); err != nil {
				s.show(w, r, view{Kind: kind, Return: "/"}, err)
			}
		}
	}
	mux.HandleFunc("GET "+startPath, orSay(s.startOIDC))
	mux.HandleFunc("GET "+callbackPath, orSay(s.finishOIDC))
}

// ours refuses what another site made a browser send.
func (s *Service) ours(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		if err := s.CheckOrigin(r); err != nil {
			s.show(w, r, view{Kind: "done"}, err)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// PagePaths are those that Pages serves.
func PagePaths() []string { return []string{"/login", "/setup", "/device", OIDCPath} }

// OIDCPath is below which single sign-on is.
const OIDCPath = "/auth/oidc/"

func (s *Service) show(w http.ResponseWriter, r *http.Request, v view, err error) {
	status := http.StatusOK
	if err != nil {
		f := fault.From(err)
		status, v.Problem, v.Hint = f.Status(), f.Message, f.Hint
		if f.Kind() == fault.Internal {
			s.log.ErrorContext(r.Context(), "signing in failed", "err", err)
		} else {
			s.log.InfoContext(r.Context(), "signing in refused", "err", err)
		}
	}
	v.Title = map[string]string{"login": "Sign in", "setup": "Set your password", "device": "Let a command line in"}[v.Kind]
	if v.Title == "" {
		v.Title = "Tollgate"
	}
	if s.provider != nil {
		v.Provider, v.SSO = s.cfg.OIDC.name(), s.path+startPath+"?"+url.Values{"return": {v.Return}}.Encode()
	}
	v.Base, v.Script, v.Style = s.path, pageScript, pageStyle
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = page.Execute(w, v) // the browser may be gone
}

func (s *Service) postLogin(w http.ResponseWriter, r *http.Request) {
	email, back := r.PostFormValue("email"), localPath(r.PostFormValue("return"))
	started, err := s.SignIn(r.Context(), email, r.PostFormValue("password"), s.from(r))
	s.enter(w, r, started, back, view{Kind: "login", Return: back, Email: email}, err)
}

func (s *Service) postSetup(w http.ResponseWriter, r *http.Request) {
	v := view{Kind: "setup", Name: r.PostFormValue("name"), Email: r.PostFormValue("email")}
	started, err := s.RedeemLink(r.Context(), strings.TrimSpace(r.PostFormValue("token")), clip(v.Name, 128), v.Email, r.PostFormValue("password"), s.from(r))
	s.enter(w, r, started, "/", v, err)
}

func (s *Service) enter(w http.ResponseWriter, r *http.Request, started Started, back string, v view, err error) {
	if err != nil {
		s.show(w, r, v, err)
		return
	}
	http.SetCookie(w, s.Cookie(RequestOf(r), started))
	if back == "/" {
		s.show(w, r, view{Kind: "done", Text: "You are signed in as " + started.Person.Email + "."}, nil)
		return
	}
	http.Redirect(w, r, s.path+back, http.StatusSeeOther) //nolint:gosec // localPath made it
}

// callerOf is who is signed in with a browser, or nil, after sending them to do so.
func (s *Service) callerOf(w http.ResponseWriter, r *http.Request) *access.Caller {
	if cookie, err := r.Cookie(CookieName); err == nil {
		c, err := s.Identify(r.Context(), cookie.Value, s.Address(r))
		if err == nil && c.PersonID != "" {
			return c
		}
		if err != nil && !errors.Is(err, fault.New(fault.UnauthenticatedErr, "")) {
			s.show(w, r, view{Kind: "done"}, err)
			return nil
		}
	}
	back := "/device?" + url.Values{"code": {r.FormValue("code")}}.Encode()
	http.Redirect(w, r, s.path+"/login?"+url.Values{"return": {back}}.Encode(), http.StatusSeeOther)
	return nil
}

func (s *Service) getDevice(w http.ResponseWriter, r *http.Request) {
	c := s.callerOf(w, r)
	if c == nil {
		return
	}
	v := view{Kind: "device", Code: cleanCode(r.FormValue("code"))}
	if v.Code == "" {
		s.show(w, r, v, nil)
		return
	}
	d, err := s.WaitingDevice(r.Context(), c, v.Code, s.Address(r))
	v.Code, v.Agent = d.UserCode, d.Agent
	s.show(w, r, v, err)
}

func (s *Service) postDevice(w http.ResponseWriter, r *http.Request) {
	c := s.callerOf(w, r)
	if c == nil {
		return
	}
	allow := r.PostFormValue("decision") == "allow"
	agent, err := s.DecideDevice(r.Context(), c, r.PostFormValue("code"), allow, s.Address(r))
	text := agent + " was refused."
	if allow {
		text = agent + " is signed in as " + c.Actor + ". You can close this page."
	}
	s.show(w, r, view{Kind: "done", Text: text}, err)
}

func (s *Service) from(r *http.Request) From {
	return From{Agent: agentOf(r), Address: s.Address(r), BaseURL: RequestOf(r).BaseURL()}
}

func agentOf(r *http.Request) string { return clip(r.UserAgent(), 128) }
