package rpc

import (
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: nobody is shown a regular expression: every pattern of the API's schemas has words.
func TestPatternsHaveWords(t *testing.T) {
	t.Parallel()
	own := controlv1.File_tollgate_control_v1_usage_proto.Package()
	seen := map[string]bool{}
	var walk func(protoreflect.MessageDescriptors)
	walk = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			fields := messages.Get(i).Fields()
			for j := range fields.Len() {
				rules, ok := proto.GetExtension(fields.Get(j).Options(), validate.E_Field).(*validate.FieldRules)
				if !ok {
					continue
				}
				for _, pattern := range []string{rules.GetString().GetPattern(), rules.GetRepeated().GetItems().GetString().GetPattern()} {
					if pattern == "" {
						continue
					}
					if seen[pattern] = true; patterns[pattern] == "" {
						t.Errorf("%s has no words for %s", fields.Get(j).FullName(), pattern)
					}
				}
			}
			walk(messages.Get(i).Messages())
		}
	}
	protoregistry.GlobalFiles.RangeFilesByPackage(own, func(f protoreflect.FileDescriptor) bool { walk(f.Messages()); return true })
	for pattern := range patterns {
		if !seen[pattern] {
			t.Errorf("no field has the pattern %s", pattern)
		}
	}
}
