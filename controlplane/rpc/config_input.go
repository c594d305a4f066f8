package rpc

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"tollgate/controlplane/declare"
	"tollgate/controlplane/litellm"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
	"tollgate/internal/plan"
)

// configuration is what files say, and how it is to be applied.
type configuration struct {
	doc      *declare.Document
	notes    []*controlv1.ConfigNote
	secrets  map[string]string
	prune    bool
	takeOver bool
}

// origin is where the changes come from that the configuration makes.
func (c *configuration) origin(ctx context.Context) context.Context {
	o := store.OriginOf(ctx)
	o.Via, o.Owner = "file", c.doc.Owner
	o.Override = o.Override || c.takeOver
	return store.WithOrigin(ctx, o)
}

// readConfiguration reads files in whichever language they are.
func readConfiguration(in *controlv1.ConfigInput) (*configuration, error) {
	c := &configuration{secrets: in.GetSecrets(), prune: in.GetPrune(), takeOver: in.GetTakeOver()}
	dialect := in.GetDialect()
	if dialect == controlv1.ConfigDialect_CONFIG_DIALECT_UNSPECIFIED {
		dialect = dialectOf(in.GetFiles())
	}
	var bad []fault.Violation
	if dialect == controlv1.ConfigDialect_CONFIG_DIALECT_LITELLM {
		if err := c.readLiteLLM(in); err != nil {
			return nil, err
		}
	} else {
		var files []declare.File
		for _, f := range in.GetFiles() {
			files = append(files, declare.File{Name: f.GetName(), Text: f.GetText()})
		}
		doc, problems := declare.Parse(files)
		c.doc = doc
		for _, p := range problems {
			field := p.String()
			if p.Path != "" {
				field += " " + p.Path
			}
			bad = append(bad, fault.Violation{Field: field, Code: p.Code, Reason: p.Reason})
		}
	}
	if len(bad) > 0 {
		return nil, badConfiguration(bad)
	}
	if in.GetOwner() != "" {
		c.doc.Owner = in.GetOwner()
	}
	return c, nil
}

// dialectOf tells LiteLLM's files by what only they have at their beginning of lines.
func dialectOf(files []*controlv1.ConfigFile) controlv1.ConfigDialect {
	for _, f := range files {
		for line := range strings.Lines(string(f.GetText())) {
			key, _, ok := strings.Cut(line, ":")
			if ok && slices.Contains([]string{"model_list", "general_settings", "litellm_settings", "router_settings", "environment_variables"}, key) {
				return controlv1.ConfigDialect_CONFIG_DIALECT_LITELLM
			}
		}
	}
	return controlv1.ConfigDialect_CONFIG_DIALECT_TOLLGATE
}

// liteLLMOwner owns what a LiteLLM file names.
const liteLLMOwner = "litellm"

// readLiteLLM reads LiteLLM's file, the first one, and those that it includes.
func (c *configuration) readLiteLLM(in *controlv1.ConfigInput) error {
	c.doc = &declare.Document{Owner: liteLLMOwner}
	f := in.GetFiles()[0]
	convert := litellm.Converter{AcceptGuardrailLoss: in.GetAcceptGuardrailLoss()}
	read := map[string]bool{}
	convert.ReadFile = func(name string) ([]byte, error) {
		for _, other := range in.GetFiles()[1:] {
			if path.Clean(other.GetName()) == path.Clean(name) {
				read[other.GetName()] = true
				return other.GetText(), nil
			}
		}
		return nil, fs.ErrNotExist
	}
	p, err := convert.Convert(f.GetName(), f.GetText())
	if err != nil {
		return err
	}
	for _, other := range in.GetFiles()[1:] {
		if !read[other.GetName()] {
			return fault.New(fault.InvalidArgument, "LiteLLM's configuration is one file and those that it includes, and %s does not include %s.", f.GetName(), other.GetName())
		}
	}
	c.notes = notesOf(f.GetName(), p)
	c.doc.Objects, c.secrets = litellm.Objects(f.GetName(), p)
	return nil
}

func notesOf(file string, p *plan.Plan) (out []*controlv1.ConfigNote) {
	for _, n := range p.Notes {
		level := controlv1.NoteLevel_NOTE_LEVEL_INFO
		switch n.Level {
		case plan.Warning:
			level = controlv1.NoteLevel_NOTE_LEVEL_WARNING
		case plan.Refused:
			level = controlv1.NoteLevel_NOTE_LEVEL_SKIPPED
		case plan.Info:
		}
		in := file
		if n.File != "" {
			in = n.File
		}
		out = append(out, &controlv1.ConfigNote{Level: level, File: in, Line: int32(n.Line), Path: n.Path, Text: n.Text})
	}
	return out
}

func (s *configService) ConvertLiteLLM(_ context.Context, req *controlv1.ConvertLiteLLMRequest) (*controlv1.ConvertLiteLLMResponse, error) {
	const name = "config.yaml"
	p, err := litellm.Converter{AcceptGuardrailLoss: req.GetAcceptGuardrailLoss()}.Convert(name, req.GetText())
	if f, ok := asFault(err); ok {
		return nil, f.WithViolations(fault.Violation{Field: "text", Code: registry.Malformed, Reason: f.Message})
	}
	if err != nil {
		return nil, err
	}
	objects, _ := litellm.Objects(name, p)
	text, err := exportText(&declare.Document{Owner: liteLLMOwner, Objects: objects}, nil)
	if err != nil {
		return nil, fmt.Errorf("write what was converted: %w", err)
	}
	return &controlv1.ConvertLiteLLMResponse{Text: text, Notes: notesOf(name, p)}, nil
}
