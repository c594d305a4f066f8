package rpc

import (
	"slices"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tollgate/controlplane/registry"
	"tollgate/internal/fault"
)

// shape gives the validator's violations our form.
func shape(v *protovalidate.ValidationError) *fault.Error {
	var all []fault.Violation
	for _, one := range v.Violations {
		field := protovalidate.FieldPathString(one.Proto.GetField())
		rule := one.Proto.GetRuleId()
		code := "invalid"
		if strings.HasSuffix(rule, "required") || strings.HasSuffix(rule, "min_len") || strings.HasSuffix(rule, "min_items") {
			code = "required"
		}
		reason := reasonOf(one)
		if field == "" {
			reason = "The request: " + reason + "."
		} else {
			reason = field + ": " + reason + "."
		}
		// Rules that know a field better than its schema say what is wrong with it.
		if rule, ok := ruled[descriptorName(one)]; ok && one.FieldValue.IsValid() {
			if c, r := registry.FieldProblem(rule, one.FieldValue.String()); c != "" {
				code, reason = c, r
			}
		}
		if found := (fault.Violation{Field: field, Code: code, Reason: reason}); !slices.Contains(all, found) {
			all = append(all, found)
		}
	}
	if len(all) == 1 {
		return fault.New(fault.InvalidArgument, "%s", all[0].Reason).WithViolations(all...).WithCause(v)
	}
	return fault.New(fault.InvalidArgument, "%d things are wrong with the request.", len(all)).WithViolations(all...).WithCause(v)
}

// ruled are the fields whose values the registry judges by themselves.
var ruled = map[protoreflect.FullName]registry.Field{
	"tollgate.control.v1.Endpoint.name": registry.FieldName, "tollgate.control.v1.Endpoint.path": registry.FieldPath,
	"tollgate.control.v1.Target.url": registry.FieldTarget, "tollgate.control.v1.Header.name": registry.FieldHeader,
}

func descriptorName(v *protovalidate.Violation) protoreflect.FullName {
	if v.FieldDescriptor == nil {
		return ""
	}
	return v.FieldDescriptor.FullName()
}

// patterns say in words what the patterns of the schemas ask for.
var patterns = map[string]string{
	"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$":             "must be up to 63 lower-case letters, digits and . _ -, and begin and end with a letter or digit",
	"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$":               "must be up to 63 lower-case letters, digits and hyphens, and begin and end with a letter or digit",
	labelPattern:                                         labelWords,
	"^(|" + labelInside + ")$":                           labelWords,
	"^[A-Z][A-Z-]{0,31}$":                                "must be a method in capital letters, such as POST",
	"^[A-Za-z0-9!#$%&'*+.^_`|~-]*$":                      "must be the name of a header, such as x-request-units",
	"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$":                "must be the name of a header, such as x-api-key",
	"^(|[0-9]{4}-[0-9]{2}-[0-9]{2})$":                    "must be a day such as 2026-11-01",
	"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$":                    "must be a day such as 2026-11-01",
	"^([1-5](xx|[0-9][0-9])|any)$":                       "must be a status such as 404, a class of them such as 2xx, or any",
	"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$":              "must be up to 63 lower-case letters, digits and _ -, and begin and end with a letter or digit",
	"^([a-z0-9][a-z0-9_-]{0,63})?$":                      listWords,
	"^[a-z0-9][a-z0-9_-]{0,63}$":                         listWords,
	"^[a-z][a-z0-9_]{0,31}$":                             "must be up to 32 lower-case letters, digits and _, and begin with a letter",
	"^[a-z][a-z0-9_]{0,47}$":                             "must be up to 48 lower-case letters, digits and _, and begin with a letter",
	"^[A-Za-z0-9*@][A-Za-z0-9._:/@*+ -]{0,254}$":         "must be up to 255 letters, digits, spaces and . _ : / @ + - *, and begin with a letter, a digit, @ or *",
	"^[A-Za-z0-9@][A-Za-z0-9._:/@+ -]{0,254}$":           "must be up to 255 letters, digits, spaces and . _ : / @ + -, and begin with a letter, a digit or @",
	"^(|[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?)$":          "must be up to 63 lower-case letters, digits and . _ -, and begin and end with a letter or digit",
	"^[A-Za-z0-9_.-]*$":                                  "must be letters, digits and . _ -",
	"^[A-Za-z0-9_-]*$":                                   "must be letters, digits and _ -",
	"^[a-z0-9._/-]*$":                                    "must be lower-case letters, digits and . _ / -",
	"^[A-Za-z0-9_-]{1,64}([.][A-Za-z0-9_-]{1,64}){0,7}$": "must be a path of names with dots between them, such as metadata.user_id",
	"^([1-5]xx)?$":                                       "must be a class of statuses such as 4xx",
	"^[0-9](xx|[0-9][0-9])$":                             "must be a status such as 404, or a class of them such as 4xx",
	"^([a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?)?$":          "must be up to 63 lower-case letters, digits and . _ -, and begin and end with a letter or digit",
	"^[a-z0-9-]{1,64}$":                                  "must be up to 64 lower-case letters, digits and hyphens",
}

const (
	labelInside  = "[A-Za-z0-9]([A-Za-z0-9._@:-]{0,126}[A-Za-z0-9])?"
	labelPattern = "^" + labelInside + "$"
	listWords    = "must be the name of a list of prices: up to 64 lower-case letters, digits and _ -, and begin with a letter or digit"
	labelWords   = "must be up to 128 letters, digits and . _ @ : -, and begin and end with a letter or digit"
)

// reasonOf is what is wrong, for people: the validator's words, but for rules of which it only has the
// technical form.
func reasonOf(v *protovalidate.Violation) string {
	switch rule := v.Proto.GetRuleId(); rule {
	case "string.pattern":
		if words, ok := patterns[v.RuleValue.String()]; ok {
			return words
		}
	case "repeated.unique":
		return "names something twice"
	case "string.in":
		if words := oneOf(v.RuleValue); words != "" {
			return words
		}
	case "string.min_len", "repeated.min_items":
		if v.RuleValue.Uint() == 1 {
			return "must not be empty"
		}
	}
	if text := v.Proto.GetMessage(); text != "" {
		return text
	}
	return "breaks the rule " + v.Proto.GetRuleId()
}

// oneOf names the values that a text may have. Where it may also be empty, that goes without saying.
func oneOf(rule protoreflect.Value) string {
	values, ok := rule.Interface().(protoreflect.List)
	if !ok {
		return ""
	}
	var words []string
	for i := range values.Len() {
		if text := values.Get(i).String(); text != "" {
			words = append(words, text)
		}
	}
	if len(words) < 2 {
		return ""
	}
	return "must be " + strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
