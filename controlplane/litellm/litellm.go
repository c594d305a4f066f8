// Package litellm reads the config.yaml of a LiteLLM proxy and says what Tollgate would create for
// its models and its pass-through endpoints. It promises that nothing in the file is passed over in silence: what
// is not carried over, or behaves differently, is a note with its line. It reaches no server and
// reads no environment but the one it is given; amounts go from the file's text to exact decimals.
package litellm

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
	"tollgate/internal/plan"
)

// MasterKeyName is the name under which a file's master key becomes a caller's key.
const MasterKeyName = "litellm-master-key"

// maxBytes bounds the file: a configuration written by people is far below it.
const maxBytes = 4 << 20

// Converter holds what a conversion may ask for besides the file. The zero value asks for nothing.
type Converter struct {
	// Getenv reads the environment in which the import runs. It is used for a master key that is
	// given as os.environ/NAME, and to say which variables are not set. References in headers stay
	// references whatever it answers: edges resolve them. Nil means that there is none.
	Getenv func(string) string
	// ReadFile reads a file that the configuration includes. Nil means that none can be read.
	ReadFile func(name string) ([]byte, error)
	// Now is the time at which what is spent in LiteLLM is read; zero for the present.
	Now time.Time
	// AcceptGuardrailLoss imports what has guardrails without them.
	AcceptGuardrailLoss bool
	// Endpoints are there already, and what keys may call may be among them.
	Endpoints []*controlv1.Endpoint
}

// Convert reads a file with nothing but its text. The name is only for messages.
func Convert(name string, text []byte) (*plan.Plan, error) {
	return Converter{}.Convert(name, text)
}

// Convert reads a file. It fails if the file cannot be read as YAML, is not LiteLLM's, or has no
// model and no pass-through endpoint that Tollgate could serve; what else it cannot carry over is in the notes.
// With an error there may be a plan all the same, for its notes.
func (c Converter) Convert(name string, text []byte) (*plan.Plan, error) {
	return c.ConvertWith(name, text, nil)
}

// ConvertWith reads a file together with what LiteLLM keeps beside it, where each may be missing.
func (c Converter) ConvertWith(name string, text []byte, records *Records) (*plan.Plan, error) {
	v := c.conversion(name)
	if text != nil || records == nil {
		root, err := parse(name, text)
		if err != nil {
			return nil, err
		}
		if err := v.include(root); err != nil {
			return nil, err
		}
		if records != nil {
			v.override(root, records)
		}
		if err := v.document(root); err != nil {
			return nil, err
		}
	} else if err := v.stored(records); err != nil {
		return nil, err
	}
	v.settle()
	if records != nil {
		v.records(records)
	}
	v.finishSettings()
	v.totals()
	v.plan.SortNotes()
	v.places()
	if v.guardrails > 0 && !c.AcceptGuardrailLoss {
		return v.plan, invalid("%s has guardrails that would be lost: nothing inspects or blocks the content of requests any more.", name).
			WithHint("Import with --accept-guardrail-loss if that is what you want, or keep what needs them on LiteLLM.")
	}
	return v.plan, v.worthwhile()
}

func (c Converter) conversion(name string) *conversion {
	now := c.Now
	if now.IsZero() {
		now = time.Now()
	}
	return &conversion{
		at: now.UTC(), readFile: c.ReadFile, accept: c.AcceptGuardrailLoss, known: c.Endpoints,
		teamNames: map[string]bool{}, keyNames: map[string]bool{MasterKeyName: true}, teamName: map[string]string{}, teamOf: map[string]Row{},
		members: map[string]string{}, orgTag: map[string]string{}, budgets: map[string]Row{},

		file: name, getenv: c.Getenv, plan: &plan.Plan{},
		names: map[string]bool{}, secrets: map[string]bool{}, taken: map[route][]taken{},
		shared: map[string]string{}, given: map[string]bool{}, modelNames: map[string]bool{},
	}
}

// conversion is the state of reading one file.
type conversion struct {
	file   string
	getenv func(string) string
	plan   *plan.Plan
	steps  int // nodes visited, against files that grow when their aliases are followed

	names   map[string]bool // endpoint names given
	secrets map[string]bool // secret names given
	taken   map[route][]taken
	vars    map[string]variable // environment_variables
	shared  map[string]string   // names of the secrets made of them
	given   map[string]bool     // those of them that are in the plan

	modelNames   map[string]bool // names and aliases of models given
	listed       int             // items of model_list
	balance      controlv1.Balance
	aliasSetting *field // router_settings.model_group_alias
	fallback     string // general_settings.completion_model, if a model is called so

	keyHeader string   // general_settings.litellm_key_header_name
	timeout   *decimal // general_settings.pass_through_request_timeout
	entries   int

	at       time.Time
	readFile func(string) ([]byte, error)
	files    []string // that are included
	accept   bool     // whether guardrails may be lost
	later    deferred
	zone     string   // of budgets; empty for that of the settings
	networks []string // from which keys may be used
	parallel string   // requests at a time of each key
	// What people may spend who have no budget of their own.
	userBudget, userEvery string
	userOnly              bool // keys of teams do not count against the budgets of their users
	customersNamed        bool
	proxySpent            spent // of everything

	known     []*controlv1.Endpoint
	keyNames  map[string]bool
	teamNames map[string]bool
	teamName  map[string]string // by id
	teamOf    map[string]Row    // by id
	members   map[string]string // tags of members, by team and user
	orgTag    map[string]string // by id
	budgets   map[string]Row    // by id

	recorded                                  bool // records were read
	opened, taggedUsers, nameless, guardrails int
}

func (v *conversion) note(line int, level plan.Level, path, format string, args ...any) {
	v.plan.Notes = append(v.plan.Notes, plan.Note{Line: line, Level: level, Path: path, Text: fmt.Sprintf(format, args...)})
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidArgument, format, args...).WithHint("Name the config.yaml that LiteLLM runs with, and correct what is wrong with it.")
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// parse reads one YAML document.
func parse(name string, text []byte) (*yaml.Node, error) {
	if len(text) > maxBytes {
		return nil, invalid("%s has %d bytes; a LiteLLM configuration has at most %d.", name, len(text), maxBytes)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, invalid("%s is empty.", name)
	} else if err != nil {
		return nil, malformed(name, err)
	}
	if err := dec.Decode(&more); err == nil {
		return nil, invalid("%s:%d begins a second YAML document; LiteLLM reads one.", name, more.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, malformed(name, err)
	}
	root := resolve(&doc)
	if root == nil || root.Kind != yaml.MappingNode {
		return nil, invalid("%s is not a LiteLLM configuration: it is no mapping of settings.", name)
	}
	return root, nil
}

func malformed(name string, err error) *fault.Error {
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		return invalid("%s:%s is not valid YAML: %s.", name, m[1], text[len(m[0]):])
	}
	return invalid("%s is not valid YAML: %s.", name, strings.TrimPrefix(text, "yaml: "))
}

// document reads the top level. The settings that entries depend on are read before them, wherever
// they stand in the file.
func (v *conversion) document(root *yaml.Node) error {
	top, err := v.fields(root, "")
	if err != nil {
		return err
	}
	if len(top) == 0 {
		return invalid("%s is empty.", v.file)
	}
	if !slices.ContainsFunc(top, func(f field) bool { return topLevel[f.key].known() }) {
		keys := make([]string, 0, len(top))
		for _, f := range top[:min(len(top), 5)] {
			keys = append(keys, strconv.Quote(f.key))
		}
		return invalid("%s is not a LiteLLM configuration: none of its keys (%s) is one of LiteLLM's, such as general_settings or model_list.",
			v.file, strings.Join(keys, ", "))
	}
	for _, first := range []struct {
		key  string
		read func(field) error
	}{{"environment_variables", v.environment}, {"router_settings", v.router}, {"model_list", v.models}, {"router_settings", v.aliases}} {
		if i := slices.IndexFunc(top, func(f field) bool { return f.key == first.key }); i >= 0 {
			if err := first.read(top[i]); err != nil {
				return err
			}
		}
	}
	for _, f := range top {
		switch f.key {
		case "environment_variables", "router_settings", "include":
		case "model_list":
		case "guardrails":
			v.guardrailList(f)
		case "general_settings":
			err = v.general(f)
		case "litellm_settings":
			err = v.section(f, litellmSettings)
		default:
			v.remark(f, f.key, topLevel)
		}
		if err != nil {
			return err
		}
	}
	if i := slices.IndexFunc(top, func(f field) bool { return f.key == "model_list" }); i >= 0 {
		v.serve(top[i])
	}
	v.unusedVariables()
	return nil
}

// general reads general_settings.
func (v *conversion) general(f field) error {
	settings, err := v.fields(f.value, f.key)
	if err != nil {
		return err
	}
	var entries *field
	for i, s := range settings {
		path := f.key + "." + s.key
		switch s.key {
		case "pass_through_endpoints":
			entries = &settings[i]
		case "master_key":
			v.masterKey(s, path)
		case "litellm_key_header_name":
			if name := scalar(s.value); headerName(name) {
				v.keyHeader = name
				v.note(s.line, plan.Info, path, "Callers may present their key in %s, on every imported endpoint.", name)
			} else {
				v.note(s.line, plan.Refused, path, "%q is not a header name; callers present their key in the usual headers.", name)
			}
		case "completion_model":
			v.completionModel(s, path)
		case "pass_through_request_timeout":
			d, err := parseDecimal(s.value)
			if err != nil || d.nanos <= 0 {
				v.note(s.line, plan.Refused, path, "The timeout is not a positive number of seconds; Tollgate's own of 600 seconds applies.")
				break
			}
			v.timeout = &d
		default:
			if !v.setting(s, path) {
				v.remark(s, path, generalSettings)
			}
		}
	}
	if entries == nil {
		return nil
	}
	path := f.key + "." + entries.key
	list := resolve(entries.value)
	if list == nil || list.Kind != yaml.SequenceNode {
		if !null(list) {
			v.note(entries.line, plan.Refused, path, "It is no list of endpoints.")
		}
		return nil
	}
	for i, item := range list.Content {
		v.entries++
		if err := v.entry(item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

// masterKey takes the master key over as what it mostly is in practice: a key that callers hold.
func (v *conversion) masterKey(f field, path string) {
	text := scalar(f.value)
	if name, ok := strings.CutPrefix(text, environPrefix); ok {
		literal, reference, known := v.variable(name)
		switch {
		case known && reference == "":
			text = literal
		case v.getenv == nil:
			v.note(f.line, plan.Warning, path, "The master key is in the variable %s, which is not read here, so it is not imported: callers that hold it need a new key.", reference)
			return
		default:
			if text = v.getenv(reference); text == "" {
				v.note(f.line, plan.Warning, path, "The variable %s is not set here, so the master key is not imported: callers that hold it need a new key.", reference)
				return
			}
		}
	}
	if text == "" {
		v.note(f.line, plan.Warning, path, "The master key is empty or no text, so it is not imported.")
		return
	}
	hash := sha256.Sum256([]byte(text))
	v.plan.Keys = append(v.plan.Keys, plan.Key{Name: MasterKeyName, SHA256: hash[:]})
	v.note(f.line, plan.Warning, path, "It is imported, by its SHA-256, as the caller's key %s: requests that present it keep working, and budgets apply to it, which LiteLLM's master key escapes. It administers nothing: that takes Tollgate's own admin token.", MasterKeyName)
	if len(text) < 20 {
		v.note(f.line, plan.Warning, path, "The master key has %d characters and may be guessed; revoke %s once callers have keys of their own.", len(text), MasterKeyName)
	}
}

// section reads the settings below one top-level key, of which none is carried over.
func (v *conversion) section(f field, known table) error {
	if null(resolve(f.value)) {
		return nil
	}
	settings, err := v.fields(f.value, f.key)
	if err != nil {
		return err
	}
	for _, s := range settings {
		if path := f.key + "." + s.key; !v.setting(s, path) {
			v.remark(s, path, known)
		}
	}
	return nil
}

// worthwhile refuses a plan that would create nothing to call.
func (v *conversion) worthwhile() error {
	if len(v.plan.Endpoints) > 0 || v.recorded {
		return nil
	}
	if v.entries+v.listed == 0 {
		return invalid("%s has nothing to import: it has no model_list and no general_settings.pass_through_endpoints.", v.file).
			WithHint("Tollgate takes over models and pass-through endpoints. Those that were made in LiteLLM's UI are in its database, not in this file.")
	}
	var what []string
	if v.listed > 0 {
		what = append(what, strconv.Itoa(v.listed)+" models")
	}
	if v.entries > 0 {
		what = append(what, strconv.Itoa(v.entries)+" pass-through endpoints")
	}
	e := invalid("None of the %s of %s can be imported.", strings.Join(what, " and "), v.file)
	for _, n := range v.plan.Notes {
		if n.Level == plan.Refused && (strings.HasPrefix(n.Path, "general_settings.pass_through_endpoints[") || strings.HasPrefix(n.Path, "model_list[")) {
			e = e.WithViolations(fault.Violation{Field: fmt.Sprintf("%s:%d %s", v.file, n.Line, n.Path), Code: "refused", Reason: n.Text})
		}
	}
	return e
}

// variable is one of environment_variables.
type variable struct {
	line int
	text string
	used *bool
}

// environment reads environment_variables, which LiteLLM puts into its own environment.
func (v *conversion) environment(f field) error {
	if null(resolve(f.value)) {
		return nil
	}
	all, err := v.fields(f.value, f.key)
	if err != nil {
		return err
	}
	v.vars = map[string]variable{}
	for _, s := range all {
		if n := resolve(s.value); n == nil || n.Kind != yaml.ScalarNode {
			v.note(s.line, plan.Refused, f.key+"."+s.key, "It is no text.")
			continue
		}
		v.vars[s.key] = variable{line: s.line, text: scalar(s.value), used: new(bool)}
	}
	return nil
}

// variable looks a name up in environment_variables. It answers with the text that stands there, or
// with the name of the real variable that is meant.
func (v *conversion) variable(name string) (literal, reference string, known bool) {
	one, ok := v.vars[name]
	if !ok {
		return "", name, false
	}
	*one.used = true
	if other, ok := strings.CutPrefix(one.text, environPrefix); ok {
		return "", other, true
	}
	return one.text, "", true
}

func (v *conversion) unusedVariables() {
	for _, name := range slices.Sorted(maps.Keys(v.vars)) {
		if one := v.vars[name]; !*one.used {
			v.note(one.line, plan.Info, "environment_variables."+name, "Nothing that is imported refers to it.")
		}
	}
}
