package snapsync

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"

	"tollgate/edge/routing"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/contract"
)

// compile makes a table of a snapshot, with what has not changed since the table before, and swaps it in.
func (s *Sync) compile(m *routing.Snapshot, v contract.Version, before *routing.Table) error {
	values := sha256.New()
	read := map[string]func() (string, error){}
	unresolved := map[string]string{}
	var references []string
	for _, secret := range m.Secrets() {
		if ref := secret.GetReference(); ref != "" {
			references = append(references, ref)
		}
		value, err := s.secret(secret)
		if err != nil {
			unresolved[secret.GetName()] = err.Error()
		}
		fmt.Fprintf(values, "%q %q %v\n", secret.GetName(), value, err)
		read[secret.GetName()] = func() (string, error) { return value, err }
	}
	lookups := routing.Lookups{
		Secret: func(name string) (string, error) {
			if value, ok := read[name]; ok {
				return value()
			}
			return "", fmt.Errorf("secret %s does not exist", name)
		},
		Env: s.env, Secrets: [32]byte(values.Sum(nil)),
	}
	table, err := m.Compile(v, lookups, before)
	if err != nil {
		return err
	}
	if missing := table.MissingEnv(); len(missing) > 0 {
		s.log.Warn("environment variables are missing, the endpoints that need them cannot be called", "names", missing)
	}
	s.routes.Store(table)
	s.unresolved.Store(&unresolved)
	s.routed = nil
	if len(references) > 0 {
		s.routed = m
	}
	if s.cfg.References != nil {
		s.cfg.References.Want(references)
	}
	return nil
}

// secret is the value of one secret.
func (s *Sync) secret(secret *eventv1.SealedSecret) (string, error) {
	name := secret.GetName()
	if ref := secret.GetReference(); ref != "" {
		if s.cfg.References == nil {
			return "", errors.New("this edge follows no references")
		}
		return s.cfg.References.Value(ref)
	}
	plain, err := s.key.Open(secret.GetSealed(), "secret:"+name)
	if err != nil {
		s.log.Error("secret does not open: does this edge have the control plane's sealing key?", "secret", name)
		return "", errors.New("it does not open: this edge has another sealing key than the control plane")
	}
	return string(plain), nil
}

// Unresolved are the secrets of the routes in use that cannot be read, and why. No reason holds a value.
func (s *Sync) Unresolved() map[string]string {
	if u := s.unresolved.Load(); u != nil {
		return maps.Clone(*u)
	}
	return nil
}

// Recompile makes the routes in use again, because what references stand for has changed.
func (s *Sync) Recompile() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.routed == nil {
		return
	}
	if err := s.compile(s.routed, s.routes.Current().Version(), s.routes.Current()); err != nil {
		s.log.Error("routes cannot be made again, those before stay", "err", err)
		return
	}
	s.log.Info("values of references have changed", "version", s.routes.Current().Version().String())
}
