package rpc

import (
	"context"
	"slices"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// maskPath is the code of a path of an update_mask that cannot be changed.
const maskPath = "mask_path"

// maskedRequest is a request to update an object, of which a mask may name the fields that change.
type maskedRequest interface {
	proto.Message
	GetUpdateMask() *fieldmaskpb.FieldMask
}

// isPartial says whether a mask names some of the fields. "*" stands for all of them.
func isPartial(mask *fieldmaskpb.FieldMask) bool {
	paths := mask.GetPaths()
	return len(paths) > 0 && !slices.Equal(paths, []string{"*"})
}

// objectField is the field of the object that a request updates, which is always the first.
func objectField(m maskedRequest) protoreflect.FieldDescriptor {
	f := m.ProtoReflect().Descriptor().Fields().ByNumber(1)
	if f == nil || f.Message() == nil || f.IsList() || f.IsMap() {
		return nil
	}
	return f
}

// masking validates requests, but for an object of which only some fields are given: whoever puts it together validates the whole.
type masking struct{ protovalidate.Validator }

// Validate implements protovalidate.Validator.
func (v masking) Validate(m proto.Message, options ...protovalidate.ValidationOption) error {
	if req, ok := m.(*controlv1.PreviewEndpointRequest); ok && req.GetEndpoint() != nil {
		draft := m.ProtoReflect().Descriptor().Fields().ByName("endpoint")
		options = append(options, without(draft)) // what is wrong with it is the answer
	}
	if req, ok := m.(maskedRequest); ok && isPartial(req.GetUpdateMask()) {
		if object := objectField(req); object != nil && m.ProtoReflect().Has(object) {
			options = append(options, without(object))
		}
	}
	return v.Validator.Validate(m, options...)
}

// without validates everything but a field.
func without(field protoreflect.FieldDescriptor) protovalidate.ValidationOption {
	return protovalidate.WithFilter(protovalidate.FilterFunc(
		func(_ protoreflect.Message, d protoreflect.Descriptor) bool { return d != field }))
}

// update runs write with a request of which the object is whole. With a mask it is what read finds, with the fields of the request
// that the mask names, and all of that is one transaction: nobody else's change in between is lost. The fields in readOnly are set by
// the server, and etag goes with the request.
func update[R maskedRequest, M proto.Message](ctx context.Context, st *store.Store, req R, readOnly []string,
	read func(context.Context) (M, error), write func(context.Context, R) error,
) error {
	if !isPartial(req.GetUpdateMask()) {
		return write(ctx, req)
	}
	object := objectField(req)
	given := req.ProtoReflect().Get(object).Message()
	if err := checkMask(given.Descriptor(), req.GetUpdateMask().GetPaths(), readOnly); err != nil {
		return err
	}
	return st.Together(ctx, actor(ctx), false, func(ctx context.Context) error {
		stored, err := read(ctx)
		if err != nil {
			return err
		}
		next := proto.CloneOf(stored).ProtoReflect()
		for _, path := range append(slices.Clone(req.GetUpdateMask().GetPaths()), "etag") {
			take(next, given, strings.Split(path, "."))
		}
		whole := proto.CloneOf(req)
		m := whole.ProtoReflect()
		m.Clear(m.Descriptor().Fields().ByName("update_mask"))
		m.Set(object, protoreflect.ValueOfMessage(next))
		if err := protovalidate.Validate(whole); err != nil {
			return err
		}
		return write(ctx, whole)
	})
}

// checkMask refuses paths that name nothing that a request can change.
func checkMask(of protoreflect.MessageDescriptor, paths, readOnly []string) error {
	p := problems("")
	for _, path := range paths {
		names := strings.Split(path, ".")
		if slices.Contains(readOnly, names[0]) {
			p.Add("update_mask", maskPath, "The field %s is not one that an update changes: leave it out of the mask.", clipPath(path))
			continue
		}
		if !namesField(of, names) {
			p.Add("update_mask", maskPath, "There is no field %s to change: name fields as in %s, and those within them after a dot.", clipPath(path), of.Name())
		}
	}
	return p.Err("the mask")
}

// namesField says whether names lead from message to message, none of them in a list, to a field.
func namesField(of protoreflect.MessageDescriptor, names []string) bool {
	f := of.Fields().ByName(protoreflect.Name(names[0]))
	switch {
	case f == nil:
		return false
	case len(names) == 1:
		return true
	case f.Message() == nil || f.IsList() || f.IsMap():
		return false
	default:
		return namesField(f.Message(), names[1:])
	}
}

// take gives a message the field of another one, also if that has none.
func take(to, from protoreflect.Message, names []string) {
	name, within := names[0], names[1:] //nolint:gosec // there is one at least
	f := to.Descriptor().Fields().ByName(protoreflect.Name(name))
	switch {
	case f == nil: // an object without an etag
	case len(within) > 0 && (from.Has(f) || to.Has(f)):
		take(to.Mutable(f).Message(), from.Get(f).Message(), within)
	case len(within) > 0:
	case from.Has(f):
		to.Set(f, from.Get(f))
	default:
		to.Clear(f)
	}
}

// clipPath keeps what a caller sent from filling an error.
func clipPath(path string) string {
	const most = 100
	if len(path) > most {
		path = path[:most] + "…"
	}
	return strings.ToValidUTF8(path, "\uFFFD")
}

// ref is what an object is found by: its id or, without one, its name.
func ref(id, name string) string {
	if id != "" {
		return id
	}
	return name
}
