// Package secrets finds the values of secrets that are references: in the environment of the edge, in files and in Vault.
// What has been found once goes on being used while where it came from is away; for Vault also after a restart, from a copy
// on disk that only the sealing key opens. A reference that cannot be followed costs the endpoints that need it, and nothing else.
//
// It opens only files in directories that the operator of the edge has named, because references come from the control plane,
// whose administrators are not to read any file of an edge. It is not for secrets that the control plane stores: those come
// with the configuration.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"tollgate/internal/seal"
	"tollgate/internal/secretref"
)

// maxValue is the longest value in bytes, as of secrets that are stored.
const maxValue = 64 << 10

// Times of looking again.
const (
	lookEvery  = 5 * time.Second // at files, and at Vault while something of it is missing
	DefaultAge = time.Minute     // how old a value of Vault may become before it is read again
)

// Config says where values are found.
type Config struct {
	Dir   string   // data directory of the edge
	Files []string // directories that files may be in
	Vault Vault
}

// Resolver finds values. It is safe for concurrent use.
type Resolver struct {
	cfg   Config
	env   func(string) (string, bool)
	vault *vault // nil for none
	cache *cache
	log   *slog.Logger
	kick  chan struct{}
	every time.Duration

	mu     sync.Mutex // guards the fields below
	wanted map[string]secretref.Ref
	found  map[string]found // by reference
	warned map[string]string
	read   time.Time // when Vault was last read whole
	pruned bool      // the copy on disk has values that are no longer wanted
}

// found is what is known of a reference.
type found struct {
	value string
	have  bool  // there is a value
	err   error // why the last look found none
}

// New makes a resolver and loads what an earlier life of the process has kept. A copy that does not open is no reason to stay
// down: Vault has the values.
func New(cfg Config, key *seal.Key, env func(string) (string, bool), log *slog.Logger) (*Resolver, error) {
	r := &Resolver{
		cfg: cfg, env: env, log: log, kick: make(chan struct{}, 1), every: lookEvery,
		wanted: map[string]secretref.Ref{}, found: map[string]found{}, warned: map[string]string{},
	}
	if cfg.Vault.Address == "" {
		return r, nil
	}
	var err error
	if r.vault, err = newVault(cfg.Vault); err != nil {
		return nil, err
	}
	r.cache = &cache{dir: cfg.Dir, key: key}
	values, err := r.cache.load()
	if err != nil {
		log.Error("values of Vault that were kept on disk are not usable", "err", err)
	}
	for ref, value := range values {
		r.found[ref] = found{value: value, have: true}
	}
	return r, nil
}

// Value is what a reference stands for. The error says why there is none, without any value.
func (r *Resolver) Value(reference string) (string, error) {
	ref, err := secretref.Parse(reference)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f, known := r.found[reference]
	if !known {
		f = r.look(ref)
		r.found[reference] = f
	}
	if f.have {
		return f.value, nil
	}
	return "", f.err
}

// look reads what can be read at once. What Vault has is read by Run.
func (r *Resolver) look(ref secretref.Ref) found {
	switch ref.Kind {
	case secretref.Env:
		if value, ok := r.env(ref.Name); ok {
			return found{value: value, have: true}
		}
		return found{err: fmt.Errorf("environment variable %s is not set", ref.Name)}
	case secretref.File:
		value, err := readFile(r.cfg.Files, ref.Path)
		return found{value: value, have: err == nil, err: err}
	default:
		if r.vault == nil {
			return found{err: errors.New("no Vault is set on this edge: set vault.address")}
		}
		return found{err: errors.New("it was not read from Vault yet")}
	}
}

// Want says which references the configuration has. Others are forgotten.
func (r *Resolver) Want(references []string) {
	wanted := map[string]secretref.Ref{}
	for _, text := range references {
		if ref, err := secretref.Parse(text); err == nil {
			wanted[text] = ref
		}
	}
	r.mu.Lock()
	news := false
	for text := range wanted {
		_, old := r.wanted[text]
		news = news || !old
	}
	r.wanted = wanted
	maps.DeleteFunc(r.found, func(text string, f found) bool {
		_, ok := wanted[text]
		r.pruned = r.pruned || !ok && f.have
		return !ok
	})
	maps.DeleteFunc(r.warned, func(text, _ string) bool { _, ok := wanted[text]; return !ok })
	pruned := r.pruned
	r.mu.Unlock()
	if news || pruned {
		select {
		case r.kick <- struct{}{}:
		default:
		}
	}
}

// Run keeps values current until ctx ends, and calls changed after one has changed.
func (r *Resolver) Run(ctx context.Context, changed func()) error {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-r.kick:
			asked = true
		case <-tick.C:
		}
		if r.round(ctx, asked) {
			changed()
		}
	}
}

// round looks at everything once, and says whether anything is other than it was.
func (r *Resolver) round(ctx context.Context, asked bool) bool {
	r.mu.Lock()
	wanted, before := maps.Clone(r.wanted), maps.Clone(r.found)
	due := asked || time.Since(r.read) >= r.cfg.Vault.Refresh
	r.mu.Unlock()
	now := map[string]found{}
	byPath := map[place][]string{}
	for text, ref := range wanted {
		switch ref.Kind {
		case secretref.Env: // it cannot change
		case secretref.File:
			now[text] = r.look(ref)
		default:
			if r.vault != nil && (due || !before[text].have) {
				at := place{ref.Mount, ref.Path}
				byPath[at] = append(byPath[at], text)
			}
		}
	}
	if len(byPath) > 0 {
		r.readVault(ctx, byPath, wanted, now)
	}
	return r.take(wanted, now, due)
}

// readVault reads each path once. Where Vault is away, the rest is not tried: it would take as long again for each.
func (r *Resolver) readVault(ctx context.Context, byPath map[place][]string, wanted map[string]secretref.Ref, now map[string]found) {
	var away error
	for at, texts := range byPath {
		var fields map[string]any
		err := away
		if err == nil {
			fields, err = r.vault.read(ctx, at)
		}
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errAway) {
			away = err
		}
		for _, text := range texts {
			now[text] = field(fields, wanted[text].Field, err)
		}
	}
	r.vault.renew(ctx, r.log)
}

func field(fields map[string]any, name string, err error) found {
	if err != nil {
		return found{err: err}
	}
	raw, ok := fields[name]
	value, text := raw.(string)
	switch {
	case !ok:
		return gone("Vault has no field %s there", name)
	case !text:
		return gone("field %s in Vault is not a text", name)
	case value == "":
		return gone("field %s in Vault is empty", name)
	case len(value) > maxValue:
		return gone("field %s in Vault is longer than %d bytes", name, maxValue)
	default:
		return found{value: value, have: true}
	}
}

func gone(format string, args ...any) found {
	return found{err: &marked{errGone, fmt.Sprintf(format, args...)}}
}

// take takes over what was found. A value stays while where it came from does not answer, or refuses to, and while its file
// is away or empty, as it is for a moment when it is written: only what Vault says it does not have is gone.
func (r *Resolver) take(wanted map[string]secretref.Ref, now map[string]found, due bool) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if due {
		r.read = time.Now()
	}
	vault := r.pruned && r.cache != nil
	r.pruned = false
	for text, f := range now {
		if _, still := r.wanted[text]; !still {
			continue
		}
		old := r.found[text]
		if f.err != nil && old.have && !errors.Is(f.err, errGone) {
			f = found{value: old.value, have: true, err: f.err}
		}
		r.warn(text, f.err)
		if f.have != old.have || f.value != old.value {
			changed = true
			vault = vault || wanted[text].Kind == secretref.Vault
		}
		r.found[text] = f
	}
	if vault {
		r.keep()
	}
	return changed
}

// warn tells each reason once.
func (r *Resolver) warn(text string, err error) {
	if err == nil {
		if r.warned[text] != "" {
			r.log.Info("secret can be read again", "reference", text)
			delete(r.warned, text)
		}
		return
	}
	if reason := err.Error(); r.warned[text] != reason {
		r.warned[text] = reason
		r.log.Warn("secret cannot be read", "reference", text, "err", err)
	}
}

// keep writes what Vault has given to the disk.
func (r *Resolver) keep() {
	values := map[string]string{}
	for text, ref := range r.wanted {
		if f := r.found[text]; f.have && ref.Kind == secretref.Vault {
			values[text] = f.value
		}
	}
	if err := r.cache.store(values); err != nil {
		r.log.Error("values of Vault cannot be kept on disk: this edge would not start without it", "err", err)
	}
}

// Close lets go of connections. It may be called when Run has returned.
func (r *Resolver) Close() {
	if r.vault != nil {
		r.vault.close()
	}
}
