package signin

import (
	"context"
	"crypto/rand"
	"errors"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"tollgate/controlplane/access"
	"tollgate/controlplane/store"
	"tollgate/internal/fault"
)

// From is where a call comes from.
type From struct {
	Agent   string // name of the browser or program
	Address string
	BaseURL string // where the caller reaches this server, if the operator did not say
}

// Started is a session that began.
type Started struct {
	Person  access.Person
	Session access.Session
	Secret  string
}

// Email is an address in the form in which it is kept, or "" if it is none.
func Email(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	if a, err := mail.ParseAddress(text); err != nil || a.Address != text || len(text) > 254 {
		return ""
	}
	return text
}

// SignIn begins a session by password. What is wrong is not said, because it would tell who has an account.
func (s *Service) SignIn(ctx context.Context, email, password string, from From) (Started, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	who := from.Address + " " + clip(email, 254)
	if err := s.attempts.begin(who); err != nil {
		return Started{}, err
	}
	p, err := s.person(ctx, email)
	if err != nil {
		return Started{}, err
	}
	var hash string
	if p.ID != "" {
		if hash, err = s.store.PasswordHash(ctx, p.ID); err != nil {
			return Started{}, err
		}
	}
	ok, err := s.passwords.matches(ctx, password, hash)
	if err != nil {
		return Started{}, err
	}
	if !ok || p.Disabled {
		return Started{}, fault.New(fault.UnauthenticatedErr, "The e-mail address or the password is not right.").
			WithHint("Try again, or ask an admin for a link to set a new password.")
	}
	s.attempts.succeed(who)
	return s.begin(ctx, p, "password", from)
}

// person finds one by their address; the zero value is none.
func (s *Service) person(ctx context.Context, email string) (access.Person, error) {
	if !strings.Contains(email, "@") {
		return access.Person{}, nil // an id proves nothing
	}
	p, err := s.store.Person(ctx, email)
	if errors.Is(err, fault.New(fault.ObjectNotFound, "")) {
		return access.Person{}, nil
	}
	return p, err
}

func (s *Service) begin(ctx context.Context, p access.Person, how string, from From) (Started, error) {
	secret, hash := newSecret(SessionPrefix)
	session, err := s.store.StartSession(ctx, &p, how, hash, clip(from.Agent, 128), from.Address, s.cfg.Total)
	return Started{Person: p, Session: session, Secret: secret}, err
}

// Link tells whom a link is for.
func (s *Service) Link(ctx context.Context, link string) (store.Link, error) {
	return s.store.Link(ctx, Hash(link))
}

// RedeemLink sets the password of whom a link was made for and begins a session.
func (s *Service) RedeemLink(ctx context.Context, link, name, email, password string, from From) (Started, error) {
	if email != "" {
		if email = Email(email); email == "" {
			reason := "This is not an e-mail address."
			return Started{}, fault.New(fault.InvalidArgument, "%s", reason).WithViolations(fault.Violation{Field: "email", Code: "invalid", Reason: reason})
		}
	}
	if err := checkPassword("password", password); err != nil {
		return Started{}, err
	}
	// A hash is work, and anybody may send a link that is none.
	if _, err := s.Link(ctx, link); err != nil {
		return Started{}, err
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return Started{}, err
	}
	p, err := s.store.RedeemLink(ctx, store.Redeemed{Link: Hash(link), Name: name, Email: email, PasswordHash: hash})
	if err != nil {
		return Started{}, err
	}
	s.forget()
	return s.begin(ctx, p, "link", from)
}

// ChangePassword replaces a password; who has one proves that they know it.
func (s *Service) ChangePassword(ctx context.Context, c *access.Caller, old, password, address string) error {
	if c.PersonID == "" {
		return notAPerson()
	}
	kept, err := s.store.PasswordHash(ctx, c.PersonID)
	if err != nil {
		return err
	}
	if kept != "" {
		who := address + " " + c.PersonID
		if err := s.attempts.begin(who); err != nil {
			return err
		}
		ok, err := s.passwords.matches(ctx, old, kept)
		if err != nil {
			return err
		}
		if !ok {
			reason := "This is not your password."
			return fault.New(fault.InvalidArgument, "%s", reason).WithViolations(fault.Violation{Field: "old_password", Code: "invalid", Reason: reason})
		}
		s.attempts.succeed(who)
	}
	if err := checkPassword("new_password", password); err != nil {
		return err
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	defer s.forget()
	return s.store.SetPassword(ctx, c.Actor, c.PersonID, hash, c.Session)
}

func notAPerson() error {
	return fault.New(fault.FailedPrecondition, "The caller is a token, and only people have passwords and sessions.").
		WithHint("Sign in with `tollgate login` or in a browser.")
}

// Sessions lists the caller's.
func (s *Service) Sessions(ctx context.Context, c *access.Caller) ([]access.Session, error) {
	if c.PersonID == "" {
		return nil, nil
	}
	return s.store.Sessions(ctx, c.PersonID, s.cfg.Idle)
}

// EndSession ends one of the caller's.
func (s *Service) EndSession(ctx context.Context, c *access.Caller, id string) error {
	if c.PersonID == "" {
		return notAPerson()
	}
	defer s.forget()
	return s.store.EndSession(ctx, c.Actor, c.PersonID, id)
}

// Invite makes a link for somebody who is new.
func Invite() (secret string, hash [32]byte, lasts time.Duration) {
	secret, hash = newSecret(linkPrefix)
	return secret, hash, inviteLasts
}

// CreateLink makes a link for a person who is to set a new password.
func (s *Service) CreateLink(ctx context.Context, c *access.Caller, person string, from From) (string, time.Time, error) {
	secret, hash := newSecret(linkPrefix)
	end, err := s.store.CreateLink(ctx, c.Actor, c.Owner(), person, hash, linkLasts)
	return s.LinkTo(secret, from), end, err
}

// LinkTo is the address of the page on which a link's secret is used.
func (s *Service) LinkTo(secret string, from From) string { return linkTo(s.base(from), secret) }

func (s *Service) base(from From) string {
	if s.cfg.BaseURL != "" {
		return s.cfg.BaseURL
	}
	return from.BaseURL
}

// PublicURL is where browsers reach this server, without a slash at the end; empty if nobody said.
func (s *Service) PublicURL() string { return s.cfg.BaseURL }

// Forget makes ended rights end here at once.
func (s *Service) Forget() { s.forget() }

// Device is what a command line shows and keeps.
type Device struct {
	DeviceCode string
	UserCode   string
	URL        string
	Expires    time.Time
	Interval   time.Duration
}

// codeLetters have no vowels, so that no code is a word, and none that look alike.
const codeLetters = "BCDFGHJKLMNPQRSTVWXZ"

// StartDevice begins to let a command line in.
func (s *Service) StartDevice(ctx context.Context, from From) (Device, error) {
	secret, hash := newSecret(devicePrefix)
	code := userCode()
	end, err := s.store.StartDevice(ctx, hash, code, clip(from.Agent, 128), deviceLasts)
	if errors.Is(err, store.ErrTooManyDevices) {
		return Device{}, fault.New(fault.UnavailableErr, "Too many command lines wait to be let in.").WithRetryAfter(time.Minute)
	}
	return Device{DeviceCode: secret, UserCode: code, URL: s.base(from) + "/device?code=" + code, Expires: end, Interval: 2 * time.Second}, err
}

func userCode() string {
	var raw [64]byte
	var code []byte
	for len(code) < 8 {
		rand.Read(raw[:])
		for _, b := range raw {
			// What would favour some letters is left out.
			if n := len(codeLetters); int(b) < 256/n*n && len(code) < 8 {
				code = append(code, codeLetters[int(b)%n])
			}
		}
	}
	return string(code[:4]) + "-" + string(code[4:])
}

// cleanCode is a code as it is kept, however it was typed.
func cleanCode(text string) string {
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune(codeLetters, r) {
			return r
		}
		return -1
	}, strings.ToUpper(text))
	if len(text) != 8 {
		return text
	}
	return text[:4] + "-" + text[4:]
}

// PollDevice gives the session of a command line that was let in.
func (s *Service) PollDevice(ctx context.Context, deviceCode string, from From) (Started, error) {
	secret, hash := newSecret(SessionPrefix)
	decision, session, p, err := s.store.FinishDevice(ctx, Hash(deviceCode), hash, from.Address, s.cfg.Total)
	switch {
	case err != nil:
		return Started{}, err
	case decision == store.Undecided:
		return Started{}, fault.New(fault.FailedPrecondition, "Nobody has let this command line in yet.").
			WithHint("Open the address in a browser and compare the code.").WithRetryAfter(2 * time.Second)
	case decision == store.Refused:
		return Started{}, fault.New(fault.PermissionDenied, "The command line was refused.").WithHint("Begin again if it was a mistake.")
	}
	return Started{Person: p, Session: session, Secret: secret}, nil
}

// WaitingDevice is the command line that shows a code, for somebody who is to decide. A wrong code counts as a guess, as there.
func (s *Service) WaitingDevice(ctx context.Context, c *access.Caller, code, address string) (store.Device, error) {
	if c.PersonID == "" {
		return store.Device{}, notAPerson()
	}
	who := address + " code " + c.PersonID
	if err := s.attempts.begin(who); err != nil {
		return store.Device{}, err
	}
	d, err := s.store.Device(ctx, cleanCode(code))
	if err == nil {
		s.attempts.succeed(who)
	}
	return d, err
}

// DecideDevice lets in or refuses the command line that shows a code.
func (s *Service) DecideDevice(ctx context.Context, c *access.Caller, code string, allow bool, address string) (agent string, err error) {
	if c.PersonID == "" {
		return "", notAPerson()
	}
	who := address + " code " + c.PersonID
	if err := s.attempts.begin(who); err != nil {
		return "", err
	}
	if agent, err = s.store.DecideDevice(ctx, c.Actor, c.PersonID, cleanCode(code), allow); err == nil {
		s.attempts.succeed(who)
	}
	return agent, err
}

// Methods is how one can sign in.
type Methods struct {
	SingleSignOn bool
	Start        string // where single sign-on begins: a path, or empty without
	Provider     string
	Setup        bool
}

// Methods says how one can sign in, and whether nobody can yet.
func (s *Service) Methods(ctx context.Context) (Methods, error) {
	has, err := s.store.HasOwner(ctx)
	m := Methods{SingleSignOn: s.provider != nil, Provider: s.cfg.OIDC.name(), Setup: !has && s.provider == nil}
	if m.SingleSignOn {
		m.Start = s.path + startPath
	}
	return m, err
}

func clip(text string, most int) string {
	for len(text) > most {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
}
