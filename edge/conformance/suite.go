package conformance

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Names of the ways on which a caller comes.
const (
	H1  = "h1"  // HTTP/1.1
	TLS = "tls" // HTTP/1.1 over TLS
	H2  = "h2"  // HTTP/2 over TLS
	H2C = "h2c" // HTTP/2 by prior knowledge

	// The same as those of HTTP/1.1, to a gateway that has the general lane only.
	H1General  = "h1-general"
	TLSGeneral = "tls-general"
)

// Transports are all of them.
var Transports = []string{H1, TLS, H2, H2C, H1General, TLSGeneral}

// lanes adds to transports on which the caller comes over the fast lane the same without it.
func lanes(over []string) []string {
	for transport, general := range map[string]string{H1: H1General, TLS: TLSGeneral} {
		if slices.Contains(over, transport) && !slices.Contains(over, general) {
			over = append(slices.Clip(over), general)
		}
	}
	slices.Sort(over)
	return over
}

// Case is one exchange, or a few that belong together, and what both sides must see.
type Case struct {
	File, Name string
	Over       []string // transports on which it is played
	Endpoints  []string // of its file and its own, in YAML; later ones replace earlier ones of the same name
	Steps      []Step
}

// Step is one line of a case and the indented lines below it.
type Step struct {
	Line  int    // in its section
	Who   string // caller, vendor, other or ledger
	Do    string // what happens
	Arg   string // the rest of the line
	Lines []string
}

// Load reads all cases of a directory. endpoints.yaml has the endpoints that every case may use.
func Load(dir fs.FS) ([]Case, error) {
	common, err := fs.ReadFile(dir, "endpoints.yaml")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(dir, "*.txtar")
	if err != nil {
		return nil, err
	}
	var out []Case
	seen := map[string]bool{}
	for _, name := range names {
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		endpoints := []string{string(common)}
		for _, section := range txtar.Parse(data).Files {
			if section.Name == "endpoints" {
				endpoints = append(endpoints, string(section.Data))
				continue
			}
			c, err := parseCase(string(section.Data))
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", name, section.Name, err)
			}
			c.File, c.Name = strings.TrimSuffix(path.Base(name), ".txtar"), section.Name
			if seen[c.File+c.Name] {
				return nil, fmt.Errorf("%s: two cases are called %q", name, c.Name)
			}
			seen[c.File+c.Name] = true
			c.Endpoints = append(slices.Clone(endpoints), c.Endpoints...)
			out = append(out, c)
		}
	}
	return out, nil
}

func parseCase(data string) (Case, error) {
	var c Case
	raw := false
	for i, line := range strings.Split(data, "\n") {
		text := strings.TrimRight(line, "\r")
		trimmed := strings.TrimSpace(text)
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
			continue
		case strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\t"):
			if len(c.Steps) == 0 {
				return c, fmt.Errorf("line %d is indented and belongs to no step", i+1)
			}
			s := &c.Steps[len(c.Steps)-1]
			s.Lines = append(s.Lines, strings.TrimLeft(text, " \t"))
			continue
		}
		who, rest, _ := strings.Cut(trimmed, " ")
		switch who {
		case "over":
			c.Over = strings.Fields(rest)
			continue
		case "endpoint":
			c.Endpoints = append(c.Endpoints, "["+rest+"]")
			continue
		}
		s := Step{Line: i + 1, Who: who}
		s.Do, s.Arg, _ = strings.Cut(rest, " ")
		if who == "ledger" {
			s.Do, s.Arg = "", rest
		}
		if _, ok := verbs[who+" "+s.Do]; !ok {
			return c, fmt.Errorf("line %d: nobody knows how %q", i+1, who+" "+s.Do)
		}
		raw = raw || who == "caller" && strings.HasPrefix(s.Arg, "raw ")
		c.Steps = append(c.Steps, s)
	}
	if len(c.Steps) == 0 {
		return c, fmt.Errorf("it has no steps")
	}
	if c.Over == nil {
		if c.Over = slices.Clone(Transports); raw {
			c.Over = []string{H1, TLS}
		}
	}
	c.Over = lanes(c.Over)
	for _, t := range c.Over {
		if !slices.Contains(Transports, t) {
			return c, fmt.Errorf("no transport is called %q", t)
		}
	}
	return c, nil
}
