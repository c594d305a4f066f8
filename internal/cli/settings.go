package cli

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tollgate/internal/cli/contexts"
	"tollgate/internal/cli/localdev"
	"tollgate/internal/fault"
)

// Where the servers of `tollgate dev` listen unless told otherwise.
const (
	defaultServer  = "http://localhost:4001"
	defaultGateway = "http://localhost:4000"
)

// place is the control plane that a command talks to, and what is known of it.
type place struct {
	contexts.Context

	name string // of the context; empty where none says so
	note localdev.LocalDev
}

// place finds it: flags go before the environment, that before the current context, and that before what `tollgate
// dev` left in this folder or one above. The context of a `tollgate dev` stands behind a nearer one.
func (a *app) place() (place, error) {
	if a.found != nil {
		return *a.found, nil
	}
	p, err := a.findPlace()
	if err == nil {
		a.found = &p
	}
	return p, err
}

func (a *app) findPlace() (place, error) {
	var p place
	file, err := a.loadContexts()
	if err != nil {
		return p, err
	}
	if p.note, err = a.loadNote(a.Dir); err != nil {
		return p, err
	}
	switch current := file.Contexts[file.Current]; {
	case a.context != "" || a.server == "" && a.Getenv("TOLLGATE_SERVER") == "" && a.Getenv("TOLLGATE_CONTEXT") != "":
		p.name = first(a.context, a.Getenv("TOLLGATE_CONTEXT"))
		if _, ok := file.Contexts[p.name]; !ok {
			return p, noContext(p.name)
		}
	case a.server == "" && a.Getenv("TOLLGATE_SERVER") == "" && (current.Dev == "" || p.note.Server == ""):
		p.name = file.Current
	}
	p.Context = file.Contexts[p.name]
	if p.Dev != "" {
		if p.note, err = a.loadNote(p.Dev); err != nil {
			return p, err
		}
	}
	env := a.Getenv("TOLLGATE_SERVER")
	if a.context != "" {
		env = "" // a flag goes before it
	}
	named := first(a.server, env)
	p.Server = first(named, p.Server, p.note.Server, defaultServer)
	if named != "" && p.name == "" {
		// What is kept for the server is used for it, however it is named.
		for _, name := range file.Names() {
			if c := file.Contexts[name]; sameURL(c.Server, named) {
				p.name, p.Context = name, c
				break
			}
		}
	}
	if p.Gateway == "" && sameURL(p.Server, p.note.Server) {
		p.Gateway = p.note.Gateway
	}
	p.CAFile = first(a.caFile, a.Getenv("TOLLGATE_CA_FILE"), p.CAFile)
	return p, nil
}

// loadNote is what `tollgate dev` left in a folder or one above.
func (a *app) loadNote(dir string) (localdev.LocalDev, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return localdev.LocalDev{}, err
	}
	note, path, err := localdev.Load(dir)
	if err != nil {
		return note, fault.New(fault.InvalidArgument, "The note of `tollgate dev` cannot be used: %v.", err).
			WithHint("Delete %s; the next `tollgate dev` writes a new one.", path)
	}
	return note, nil
}

// note is what the local `tollgate dev` left.
func (a *app) note() (localdev.LocalDev, error) {
	p, err := a.place()
	return p.note, err
}

// gateway is where requests of callers go.
func (a *app) gateway(flag string) (string, error) {
	p, err := a.place()
	env := a.Getenv("TOLLGATE_GATEWAY")
	if a.context != "" {
		env = ""
	}
	return first(flag, env, p.Gateway, p.note.Gateway, defaultGateway), err
}

// serverURL is the control plane's address.
func (a *app) serverURL() string {
	p, err := a.place()
	if err != nil { // connect reports it
		return first(a.server, a.Getenv("TOLLGATE_SERVER"), defaultServer)
	}
	return p.Server
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// token is what opens the server. One that belongs to a server is given to that server only, so that naming another
// one cannot send it there.
func (a *app) token() (string, error) {
	if a.tokenFile != "" {
		raw, err := os.ReadFile(a.path(a.tokenFile))
		if err != nil {
			return "", fault.New(fault.InvalidArgument, "The token file cannot be read: %v.", err).WithHint("Name another with --token-file, or set TOLLGATE_TOKEN.")
		}
		return strings.TrimSpace(string(raw)), nil
	}
	if token := a.Getenv("TOLLGATE_TOKEN"); token != "" && a.context == "" {
		return token, nil
	}
	p, err := a.place()
	if err != nil {
		return "", err
	}
	file, err := a.loadContexts()
	if err != nil {
		return "", err
	}
	if c, ok := file.Contexts[p.name]; ok && sameURL(c.Server, p.Server) {
		if c.InRing && a.Keyring != nil {
			token, err := a.Keyring.Get(c.Server)
			if err != nil {
				return "", fault.New(fault.UnauthenticatedErr, "The keyring does not give the token of context %s: %v.", p.name, err).
					WithHint("Unlock the keyring, or sign in again with `%s login`.", a.Program)
			}
			return token.Reveal(), nil
		}
		if c.Token != "" {
			return c.Token.Reveal(), nil
		}
	}
	if sameURL(p.Server, p.note.Server) {
		return p.note.Token, nil
	}
	return "", nil
}

func sameURL(a, b string) bool {
	return strings.TrimRight(a, "/") == strings.TrimRight(b, "/")
}

// path is a file's name as seen from the working directory.
func (a *app) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(a.Dir, name)
}

// client is what calls servers: with the authorities of the place beside the system's.
func (a *app) client() (*http.Client, error) {
	if a.HTTPClient != nil {
		return a.HTTPClient, nil
	}
	p, err := a.place()
	if err != nil {
		return nil, err
	}
	t := transport()
	if p.CAFile != "" {
		trusted, err := authorities(a.path(p.CAFile))
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "The certificates of --ca-file cannot be used: %v.", err).
				WithHint("Name a PEM file with the certificate of the authority that signed the server's.")
		}
		t.TLSClientConfig = &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
	}
	a.HTTPClient = &http.Client{Transport: t}
	return a.HTTPClient, nil
}

func authorities(file string) (*x509.CertPool, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", filepath.Base(file))
	}
	return pool, nil
}

// transport is the default one without its pool's long memory: a command makes few requests.
func transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}
