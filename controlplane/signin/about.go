package signin

import "time"

// About is how people sign in here, for those who look after it. It holds no secret.
type About struct {
	BaseURL     string // where browsers reach this server
	Idle, Total time.Duration
	OIDC        OIDC   // without its secret; without an issuer there is no single sign-on
	Redirect    string // where the provider has to send people back to
	Start       string // where signing in by the provider begins
}

// About tells how people sign in here.
func (s *Service) About() About {
	a := About{
		BaseURL: s.cfg.BaseURL, Idle: s.cfg.Idle, Total: s.cfg.Total, OIDC: s.cfg.OIDC,
		Redirect: s.cfg.BaseURL + callbackPath, Start: s.cfg.BaseURL + startPath,
	}
	a.OIDC.ClientSecret, a.OIDC.Name = "", s.cfg.OIDC.name()
	return a
}
