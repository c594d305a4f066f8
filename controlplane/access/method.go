package access

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Rule is what a method asks of its callers.
type Rule struct {
	Permission controlv1.Permission
	Team       bool // one whose rights end at a team may call it, and sees that team only
	Audited    bool // calls are recorded although they change nothing
	Writes     bool // it may change something
}

// rules are those of all methods, by procedure. They are read from the descriptors once, so a method cannot be served under
// other rules than it is published with.
var rules = readRules()

func readRules() map[string]Rule {
	all := map[string]Rule{}
	protoregistry.GlobalFiles.RangeFilesByPackage("tollgate.control.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				if rule, ok := ruleOf(method); ok {
					all["/"+string(service.FullName())+"/"+string(method.Name())] = rule
				}
			}
		}
		return true
	})
	return all
}

func ruleOf(method protoreflect.MethodDescriptor) (Rule, bool) {
	options, ok := method.Options().(*descriptorpb.MethodOptions)
	if !ok || !proto.HasExtension(options, controlv1.E_Access) {
		return Rule{}, false
	}
	said, ok := proto.GetExtension(options, controlv1.E_Access).(*controlv1.MethodAccess)
	if !ok || said.GetPermission() == controlv1.Permission_PERMISSION_UNSPECIFIED {
		return Rule{}, false
	}
	return Rule{
		Permission: said.GetPermission(), Team: said.GetTeam(), Audited: said.GetAudited(),
		Writes: options.GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS,
	}, true
}

// Method is the rule of a procedure such as "/tollgate.control.v1.KeyService/GetKey". A method without one may be called by
// nobody.
func Method(procedure string) (Rule, bool) {
	r, ok := rules[procedure]
	return r, ok
}

// Allows says whether the caller may make a call under the rule at all. Where the caller's rights end at teams, the method
// still has to look which.
func (r Rule) Allows(c *Caller) bool {
	switch {
	case r.Permission == Anyone:
		return true
	case r.Permission == controlv1.Permission_PERMISSION_UNSPECIFIED:
		return false
	case c.Everywhere.Has(r.Permission):
		return true
	default:
		return r.Team && len(c.Scope(r.Permission).Teams) > 0
	}
}
