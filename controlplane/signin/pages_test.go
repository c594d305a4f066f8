package signin_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"tollgate/controlplane/access"
	"tollgate/controlplane/signin"
	"tollgate/internal/fault"
)

const password = "correct horse battery"

// post sends a form.
func (s *site) post(path string, form url.Values, header ...string) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.browser.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// owner uses a setup link.
func (s *site) owner() {
	s.t.Helper()
	link, err := signin.SetupLink(s.t.Context(), s.store, s.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	_, secret, _ := strings.Cut(link, "#token=")
	if l, err := s.people.Link(s.t.Context(), secret); err != nil || !l.Setup || l.Email != "" || time.Until(l.Expires) < time.Hour {
		s.t.Errorf("%v %v", l, err)
	}
	form := url.Values{"token": {secret}, "email": {"Ada@Example.com"}, "name": {"Ada"}, "password": {password}}
	if status := s.post("/setup", form); status != http.StatusOK || s.caller() == nil || !s.caller().Owner() {
		s.t.Fatal(status, s.caller())
	}
	s.browser = newBrowser(s.t)
	if status := s.post("/setup", form); status != http.StatusUnauthorized || s.caller() != nil {
		s.t.Errorf("the link worked twice: %d", status)
	}
	if l, err := s.people.Link(s.t.Context(), secret); fault.From(err).Code != fault.UnauthenticatedErr {
		s.t.Errorf("a used link is for %v", l)
	}
}

// Guarantee: a setup link makes an owner, once; with the password they sign in, from our own pages only; and a wrong password
// says no more than an address that nobody has.
func TestPasswordPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.owner()
	form := url.Values{"email": {"ada@example.com"}, "password": {password}, "return": {"/login"}}
	if status := s.post("/login", form, "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden || s.caller() != nil {
		t.Errorf("from another site: %d", status)
	}
	_, wrong := s.people.SignIn(t.Context(), "ada@example.com", "wrong", signin.From{Address: "a"})
	_, unknown := s.people.SignIn(t.Context(), "bob@example.com", "wrong", signin.From{Address: "a"})
	if wrong == nil || unknown == nil || wrong.Error() != unknown.Error() {
		t.Errorf("%v and %v", wrong, unknown)
	}
	if status := s.post("/login", form); status != http.StatusOK || s.caller() == nil {
		t.Errorf("signed in: %d", status)
	}
	for range 10 {
		_, wrong = s.people.SignIn(t.Context(), "ada@example.com", "wrong", signin.From{Address: "a"})
	}
	if f := fault.From(wrong); f.Code != fault.RateLimited || f.RetryAfter <= 0 {
		t.Errorf("guessing: %v", wrong)
	}
	// Who guesses from elsewhere keeps nobody out.
	if _, err := s.people.SignIn(t.Context(), "ada@example.com", password, signin.From{Address: "b"}); err != nil {
		t.Error(err)
	}
}

// Guarantee: a page runs no script and shows no style but those whose hashes its policy names.
func TestPagePolicy(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	res, err := s.browser.Get(s.URL + "/setup")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, body := s.get(s.URL + "/setup")
	policy := res.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		t.Error(policy)
	}
	found := regexp.MustCompile(`(?s)<(?:script|style)>(.*?)</`).FindAllStringSubmatch(body, -1)
	if len(found) != 2 {
		t.Fatalf("%d pieces in %s", len(found), body)
	}
	for _, piece := range found {
		sum := sha256.Sum256([]byte(piece[1]))
		if !strings.Contains(policy, base64.StdEncoding.EncodeToString(sum[:])) {
			t.Errorf("the policy forbids %s", piece[1])
		}
	}
}

// Guarantee: a command line acts as who let it in from a browser, having compared the code, and once only.
func TestDevicePages(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.owner()
	d, err := s.people.StartDevice(t.Context(), signin.From{Agent: "CLI <on> laptop"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.people.PollDevice(t.Context(), d.DeviceCode, signin.From{}); fault.From(err).Code != fault.FailedPrecondition {
		t.Errorf("undecided: %v", err)
	}
	if _, body := s.get(d.URL); !strings.Contains(body, "Sign in") {
		t.Error("nobody has signed in", body)
	}
	form := url.Values{"email": {"ada@example.com"}, "password": {password}, "return": {"/device?code=" + d.UserCode}}
	s.post("/login", form)
	_, body := s.get(d.URL)
	if !strings.Contains(body, "CLI &lt;on&gt; laptop") || !strings.Contains(body, d.UserCode) {
		t.Error(body)
	}
	if status := s.post("/device", url.Values{"code": {strings.ToLower(strings.ReplaceAll(d.UserCode, "-", " "))}, "decision": {"allow"}}); status != http.StatusOK {
		t.Errorf("allow: %d", status)
	}
	started, err := s.people.PollDevice(t.Context(), d.DeviceCode, signin.From{Address: "127.0.0.1"})
	if err != nil || started.Person.Email != "ada@example.com" {
		t.Fatal(started, err)
	}
	if c, err := s.people.Identify(t.Context(), started.Secret, ""); err != nil || !c.Owner() {
		t.Error(c, err)
	}
	if _, err := s.people.PollDevice(t.Context(), d.DeviceCode, signin.From{}); fault.From(err).Code != fault.ObjectNotFound {
		t.Errorf("a second time: %v", err)
	}
	refused, err := s.people.StartDevice(t.Context(), signin.From{Agent: "x"})
	if err != nil {
		t.Fatal(err)
	}
	s.post("/device", url.Values{"code": {refused.UserCode}, "decision": {"refuse"}})
	if _, err := s.people.PollDevice(t.Context(), refused.DeviceCode, signin.From{}); fault.From(err).Code != fault.PermissionDenied {
		t.Errorf("refused: %v", err)
	}
}

// Guarantee: a session ends when it is not used, and after its whole time however much it is; what has ended is removed.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	_, hash, lasts := signin.Invite()
	p, err := s.store.CreatePerson(t.Context(), "admin", access.Person{Email: "ada@example.com", Role: "viewer"}, hash, lasts)
	if err != nil {
		t.Fatal(err)
	}
	start := func(name string, lasts time.Duration) string {
		secret := signin.SessionPrefix + name
		if _, err := s.store.StartSession(t.Context(), &p, "test", signin.Hash(secret), "", "", lasts); err != nil {
			t.Fatal(err)
		}
		return secret
	}
	lives, over := start("lives", time.Hour), start("over", -time.Second)
	if _, err := s.people.Identify(t.Context(), lives, ""); err != nil {
		t.Error(err)
	}
	if _, err := s.people.Identify(t.Context(), over, ""); fault.From(err).Code != fault.UnauthenticatedErr {
		t.Errorf("over: %v", err)
	}
	if _, _, err := s.store.Session(t.Context(), signin.Hash(lives), 0, ""); fault.From(err).Code != fault.ObjectNotFound {
		t.Errorf("not used for as long as is allowed: %v", err)
	}
	if err := s.store.SweepSignIns(t.Context(), 0, time.Hour); err != nil {
		t.Fatal(err)
	}
	if all, err := s.store.Sessions(t.Context(), p.ID, time.Hour); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
}
