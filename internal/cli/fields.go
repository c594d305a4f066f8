package cli

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// accessFlags are what keys may call, as flags.
type accessFlags struct {
	endpoints, models []string
}

func (f *accessFlags) register(cmd *cobra.Command, who string) {
	cmd.Flags().StringArrayVar(&f.endpoints, "endpoint", nil, "endpoint that "+who+" may call; may be repeated; all, present and future, if none is given")
	cmd.Flags().StringSliceVar(&f.models, "models", nil, "models that "+who+" may ask for, with * for any text; all, present and future, if none is given")
}

// endpointNames are those that were given, and whether there are any: an empty one stands for all.
func (f *accessFlags) endpointNames(*cobra.Command) (names []string, restricted bool) {
	names = given(f.endpoints)
	return names, len(names) > 0
}

// given is a list without empty words, by which a person says that it is empty.
func given(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
}

// metadataFlags are anything that is kept with a thing, as a flag.
type metadataFlags struct{ text string }

func (f *metadataFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.text, "metadata", "", "anything to keep with it, as a JSON object")
}

func (f *metadataFlags) read(cmd *cobra.Command) (*structpb.Struct, error) {
	if f.text == "" {
		return nil, nil
	}
	var out structpb.Struct
	if err := protojson.Unmarshal([]byte(f.text), &out); err != nil {
		return nil, usage(cmd, "--metadata is no JSON object such as '{\"owner\": \"kim\"}'.")
	}
	return &out, nil
}

func addMetadata(t *table, m *structpb.Struct) {
	if len(m.GetFields()) == 0 {
		return
	}
	raw, err := json.Marshal(m.AsMap())
	if err != nil {
		return
	}
	t.add("metadata", string(raw))
}

// addManaged says which file owns a thing, if one does.
func addManaged(t *table, owner string) {
	if owner != "" {
		t.add("managed by", owner)
	}
}

// enumWord is the word of a value: the name without what all of them begin with.
func enumWord(e interface{ String() string }, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(e.String(), prefix), "_", "-"))
}

// oneOf is the value that a flag's word stands for.
func oneOf[T protoreflect.Enum](cmd *cobra.Command, flag, text string, words map[string]T) (T, error) {
	value, ok := words[text]
	if !ok {
		return value, usage(cmd, "--%s is %s, not %q.", flag, either(slices.Sorted(maps.Keys(words))), text)
	}
	return value, nil
}

// either is a list of words of which one is to be chosen.
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// yesNo is a switch for tables.
func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// restrictable is a key or a team, which may call some endpoints or all.
type restrictable interface {
	GetRestricted() bool
	GetEndpoints() []string
}

// restricted lists the endpoints that may be called. What is restricted to none, because they were all deleted, is
// not what may call all.
func restricted(r restrictable, all string) string {
	if r.GetRestricted() && len(r.GetEndpoints()) == 0 {
		return "none"
	}
	return list(r.GetEndpoints(), all)
}
