package controlplane

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"tollgate/internal/config"
	"tollgate/internal/fault"
)

// Edges is what a new edge is told that joins: how it reaches the others, which need not be how this process does.
type Edges struct {
	NATSURL      string        `yaml:"nats_url"`       // as edges reach it; empty lets none join
	NKeySeedFile string        `yaml:"nkey_seed_file"` // whose content is their identity; empty for none
	CAFile       string        `yaml:"ca_file"`        // whose content they trust; empty for the system's
	LedgerURLs   []string      `yaml:"ledger_urls"`    // for when NATS is away; empty for none
	LedgerToken  config.Secret `yaml:"ledger_token"`   // empty for this process's own
}

func (e *Edges) validate(bad func(key, format string, args ...any)) {
	for one := range strings.SplitSeq(e.NATSURL, ",") {
		if u, err := url.Parse(strings.TrimSpace(one)); e.NATSURL != "" && (err != nil || u.Scheme == "" || u.Host == "") {
			bad("edges.nats_url", "is not a URL such as nats://nats.internal:4222, or several with commas between them")
			break
		}
	}
	for i, raw := range e.LedgerURLs {
		if u, err := url.Parse(raw); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			bad("edges.ledger_urls", "%q (number %d) is not a base URL such as http://ledger:4002", raw, i+1)
		}
	}
}

// joining makes the settings of edges from those of a control plane.
type joining struct{ cfg *Config }

// joined is the file of settings of an edge that joins. Files are what its settings name, by the name; it keeps them beside this one.
type joined struct {
	Name        string            `yaml:"name,omitempty"`
	Region      string            `yaml:"region,omitempty"`
	NATS        map[string]string `yaml:"nats"`
	LedgerURLs  []string          `yaml:"ledger_urls,omitempty"`
	LedgerToken string            `yaml:"ledger_token,omitempty"`
	SealingKey  string            `yaml:"sealing_key"`
	Files       map[string]string `yaml:"files,omitempty"`
}

// EdgeSettings is a settings file. Files are read each time, so that replaced ones are given out.
func (j joining) EdgeSettings(node, region string) ([]byte, error) {
	e := &j.cfg.Edges
	if e.NATSURL == "" {
		return nil, fault.New(fault.FailedPrecondition, "This control plane does not know how edges reach NATS.").
			WithHint("Set edges.nats_url in its settings, and edges.ledger_urls if edges are to go on without NATS. `tollgate dev` keeps NATS to itself: run more edges there with --edges, or start it with --nats-port.")
	}
	out := joined{
		Name: node, Region: region, NATS: map[string]string{"url": e.NATSURL}, LedgerURLs: e.LedgerURLs,
		SealingKey: j.cfg.SealingKey.Reveal(), Files: map[string]string{},
	}
	if len(e.LedgerURLs) > 0 {
		if out.LedgerToken = e.LedgerToken.Reveal(); out.LedgerToken == "" {
			out.LedgerToken = j.cfg.LedgerToken.Reveal()
		}
		if out.LedgerToken == "" {
			return nil, fault.New(fault.FailedPrecondition, "This control plane does not know the token of the ledgers that edges are to use.").
				WithHint("Set edges.ledger_token, or ledger_token, in its settings.")
		}
	}
	for key, path := range map[string]string{"nkey_seed_file": e.NKeySeedFile, "ca_file": e.CAFile} {
		if path == "" {
			continue
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fault.New(fault.FailedPrecondition, "The file of edges.%s cannot be read.", key).
				WithHint("Correct the setting of the control plane, or the rights of the file.").WithCause(err)
		}
		name := strings.TrimSuffix(key, "_file") + ".pem"
		out.NATS[key], out.Files[name] = name, string(raw)
	}
	raw, err := yaml.Marshal(out)
	if err != nil {
		return nil, errors.New("settings of an edge cannot be written") // what failed holds credentials
	}
	// In a settings file ${ begins a variable.
	return fmt.Appendf(nil, "# Settings of an edge, made when it joined. They hold credentials.\n%s", strings.ReplaceAll(string(raw), "${", "$${")), nil
}
