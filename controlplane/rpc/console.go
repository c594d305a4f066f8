package rpc

import (
	"context"
	"net/http"
	"strings"
	"time"

	"tollgate/controlplane/console"
	"tollgate/controlplane/registry"
)

// bootWithin bounds what a page waits for the database: without it, a page still says that the control plane cannot be reached.
const bootWithin = time.Second

// newConsole makes the pages of a handler's.
func newConsole(d Deps) (*console.Console, error) {
	base := strings.TrimRight(d.SignIn.PublicURL(), "/")
	return console.New(console.Config{
		BaseURL: base, Dev: d.ConsoleDev,
		Boot: func(ctx context.Context) console.Boot {
			b := console.Boot{Version: d.Version, BaseURL: base, Console: console.Built, SignIn: console.SignIn{Password: true}}
			if d.Open != nil && !d.Open() {
				return b
			}
			ctx, cancel := context.WithTimeout(ctx, bootWithin)
			defer cancel()
			if m, err := d.SignIn.Methods(ctx); err == nil {
				b.NeedsSetup = m.Setup
				if m.SingleSignOn {
					b.SignIn.OIDC = &console.SingleSignOn{Name: m.Provider, URL: m.Start}
				}
			}
			if settings, err := d.Store.Settings(ctx); err == nil {
				b.Name, b.GatewayURL = settings.Name, gatewayURL(settings, d.Gateway)
			}
			return b
		},
	})
}

// gatewayURL is where callers reach the edges; empty if nobody knows.
func gatewayURL(s registry.Settings, known func() string) string {
	if s.GatewayURL == "" && known != nil {
		return known()
	}
	return s.GatewayURL
}

// withConsole gives browsers their pages wherever no service answers. They are served without the database as well.
func withConsole(c *console.Console, outer, api *http.ServeMux, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served(outer, api, r) || !c.Wants(r) {
			next.ServeHTTP(w, r)
			return
		}
		c.ServeHTTP(w, r)
	})
}

// served says whether there is a handler for a path, of whatever method: only outer's "/" leads on to api.
func served(outer, api *http.ServeMux, r *http.Request) bool {
	if _, pattern := outer.Handler(r); pattern != "/" {
		return true
	}
	_, pattern := api.Handler(r)
	return pattern != ""
}

// withoutBase takes the path of the public address away, where a proxy left that to us.
func withoutBase(base string, next http.Handler) http.Handler {
	if base == "" {
		return next
	}
	strip := http.StripPrefix(base, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, base+"/") {
			strip.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
