// Package templates has ready endpoints of vendors' APIs: where they are, how a credential is sent, and meters that make the
// exact cost of each call; and, where a vendor can serve models, a deployment of them. Each vendor is a data file, with
// exchanges that show what its meters count; tests hold every file to them. Adding a vendor is adding a file.
//
// It reads files that are part of the program, and nothing else: it makes no endpoint, and knows no price but those in
// the files, which name the list of the price book that has the rest.
package templates

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/meter/document"
)

//go:embed data
var data embed.FS

// Entry is one data file.
type Entry struct {
	Template *controlv1.Template
	// Samples are exchanges and what they cost, by which the template is tested.
	Samples []Sample
}

// Sample is an exchange, recorded or made up, and what the template's meters make of it.
type Sample struct {
	// Recorded names a recording, whose request Request replaces if it is set. Without it the exchange is in the file
	// itself, made up after the vendor's documentation.
	Recorded string `yaml:"recorded"`
	// Path and Method are what the gateway sees below the endpoint, where the recording does not say or says otherwise.
	Path   string `yaml:"path"`
	Method string `yaml:"method"`
	// Request and Answer are bodies, RequestHeaders and Headers the lines above them, and Status the answer's; 200 if 0.
	Request        string            `yaml:"request"`
	RequestHeaders map[string]string `yaml:"requestHeaders"`
	Status         uint32            `yaml:"status"`
	Headers        map[string]string `yaml:"headers"`
	Answer         string            `yaml:"answer"`
	// WebSocket says that the answer is the target's messages, one a line.
	WebSocket bool `yaml:"websocket"`

	Want Want `yaml:"want"`
}

// Want is the bill of a sample.
type Want struct {
	Meter string `yaml:"meter"`
	Model string `yaml:"model"`
	// Counts are the counters that were found, as records have them: "prompt=1420,cached=1280".
	Counts string `yaml:"counts"`
	// Cost is in US dollars.
	Cost string `yaml:"cost"`
	// Unpriced says that the cost is not known: Cost is the fallback with what is known.
	Unpriced bool `yaml:"unpriced"`
	// NotCharged says that nothing is charged.
	NotCharged bool `yaml:"notCharged"`
	// Job is "id=state" where the exchange begins or tells of a job.
	Job string `yaml:"job"`
}

// All is every template in order of its name. What it answers with is shared and must not be changed.
func All() ([]Entry, error) { return load() }

var load = sync.OnceValues(func() ([]Entry, error) {
	files, err := data.ReadDir("data")
	if err != nil {
		return nil, err
	}
	all := make([]Entry, 0, len(files))
	for _, f := range files {
		text, err := data.ReadFile(path.Join("data", f.Name()))
		if err != nil {
			return nil, err
		}
		e, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", f.Name(), err)
		}
		if want := e.Template.GetName() + ".yaml"; f.Name() != want {
			return nil, fmt.Errorf("template %s is in a file of another name, %s", e.Template.GetName(), f.Name())
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Template.GetName(), b.Template.GetName()) })
	return all, nil
})

// Parse reads one data file: the fields of a template and its samples.
func Parse(text []byte) (Entry, error) {
	fields, err := document.Root(text)
	if err != nil {
		return Entry{}, err
	}
	if fields.Kind != yaml.MappingNode {
		return Entry{}, errors.New("a template is a mapping")
	}
	e := Entry{Template: &controlv1.Template{}}
	// Bodies are bytes in the message, which a document would have to hold in base64: they are read apart.
	var sample *Sample
	rest := &yaml.Node{Kind: yaml.MappingNode, Line: fields.Line}
	for i := 0; i+1 < len(fields.Content); i += 2 {
		switch fields.Content[i].Value {
		case "samples":
			err = fields.Content[i+1].Decode(&e.Samples)
		case "sample":
			err = fields.Content[i+1].Decode(&sample)
		default:
			rest.Content = append(rest.Content, fields.Content[i], fields.Content[i+1])
		}
		if err != nil {
			return Entry{}, err
		}
	}
	if err := document.Decode(rest, e.Template); err != nil {
		return Entry{}, err
	}
	if sample != nil {
		e.Template.Sample = sample.message()
	}
	return e, priceDeployment(e.Template)
}

func (s *Sample) message() *controlv1.Sample {
	return &controlv1.Sample{
		Method: s.Method, Path: s.Path, RequestHeaders: lines(s.RequestHeaders), RequestBody: []byte(s.Request),
		Status: s.Status, Headers: lines(s.Headers), Body: []byte(s.Answer),
	}
}

// lines are headers in the order of their names.
func lines(h map[string]string) []*controlv1.SampleHeader {
	out := make([]*controlv1.SampleHeader, 0, len(h))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		out = append(out, &controlv1.SampleHeader{Name: name, Value: h[name]})
	}
	return out
}

// Near are the names among all that somebody may have meant who wrote name: those with a part of it, or all.
func Near(all []Entry, name string) []string {
	var near, names []string
	name = strings.ToLower(name)
	for _, e := range all {
		n := e.Template.GetName()
		names = append(names, n)
		if name != "" && (strings.Contains(n, name) || strings.Contains(name, n) || common(n, name) >= 3) {
			near = append(near, n)
		}
	}
	if len(near) > 0 {
		return near
	}
	return names
}

// common is how many letters two words begin with alike.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
