package cli

import (
	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// servingFlags have an endpoint serve models in place of targets.
type servingFlags struct {
	models               bool
	schemas              []string
	adapter, defaultName string
}

func (f *servingFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.models, "models", false, "serve models in place of targets: messages, chat/completions, responses and the list of models below the path")
	flags.StringSliceVar(&f.schemas, "schemas", nil, "with --models, languages that callers may speak: openai-chat, anthropic-messages, openai-responses; all if none is given")
	flags.StringVar(&f.adapter, "models-adapter", "", "with --models, adapter that translates all that callers send")
	flags.StringVar(&f.defaultName, "default-model", "", "with --models, model of requests that name none, or one that nobody knows")
}

// change puts what was given into e and leaves the rest alone.
func (f *servingFlags) change(cmd *cobra.Command, e *controlv1.Endpoint) error {
	given := cmd.Flags().Changed
	if given("models") {
		switch {
		case !f.models:
			e.Models = nil
		case e.Models == nil:
			e.Models = &controlv1.Models{}
		}
	}
	if e.Models == nil {
		return f.alone(cmd)
	}
	if given("schemas") {
		texts := f.schemas
		if len(texts) == 1 && texts[0] == "" {
			texts = nil
		}
		all, err := schemasFlag(cmd, "schemas", texts)
		if err != nil {
			return err
		}
		e.Models.Schemas = all
	}
	if given("models-adapter") {
		e.Models.Adapter = f.adapter
	}
	if given("default-model") {
		e.Models.DefaultModel = f.defaultName
	}
	return nil
}

// alone refuses what says how models are served where none are.
func (f *servingFlags) alone(cmd *cobra.Command) error {
	for _, name := range []string{"schemas", "models-adapter", "default-model"} {
		if cmd.Flags().Changed(name) {
			return usage(cmd, "--%s goes with --models.", name)
		}
	}
	return nil
}

// describeServing shows how an endpoint serves models.
func describeServing(t *table, m *controlv1.Models) {
	spoken := list(schemaNames(m.GetSchemas()), "every schema")
	if m.GetAdapter() != "" {
		spoken = "adapter " + m.GetAdapter()
	}
	t.add("serves models", spoken)
	if m.GetDefaultModel() != "" {
		t.add("default model", m.GetDefaultModel())
	}
}
