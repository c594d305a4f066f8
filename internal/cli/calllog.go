package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// callLog tells of calls while they happen. The zero value tells nothing.
type callLog struct {
	out    io.Writer
	bodies bool
	now    func() time.Time
}

func (a *app) callLog() callLog {
	if !a.verbose && !a.debug {
		return callLog{}
	}
	return callLog{out: a.Stderr, bodies: a.debug, now: a.Now}
}

// call tells of a call that begins. What it answers tells how it ended.
func (l callLog) call(procedure string, req proto.Message) func(res proto.Message, err error) {
	if l.out == nil {
		return func(proto.Message, error) {}
	}
	start := l.now()
	fmt.Fprintf(l.out, "→ %s%s\n", procedure, l.body(req))
	return func(res proto.Message, err error) {
		took := l.now().Sub(start).Round(time.Millisecond)
		if err != nil {
			fmt.Fprintf(l.out, "← %s in %s: %s\n", connect.CodeOf(err), took, err)
			return
		}
		fmt.Fprintf(l.out, "← ok in %s%s\n", took, l.body(res))
	}
}

func (l callLog) body(m proto.Message) string {
	if !l.bodies || m == nil || !m.ProtoReflect().IsValid() {
		return ""
	}
	shown := proto.Clone(m)
	mask(shown.ProtoReflect())
	raw, err := json.Marshal(brief(shown))
	if err != nil {
		return ""
	}
	return " " + string(raw)
}

const masked = "(not shown)"

// alsoMasked are fields that may hold a credential where they could hold a reference.
var alsoMasked = map[protoreflect.FullName]bool{
	"tollgate.control.v1.CreateKeyResponse.secret":     true,
	"tollgate.control.v1.Deployment.api_key":           true,
	"tollgate.control.v1.AwsSigning.access_key_id":     true,
	"tollgate.control.v1.AwsSigning.secret_access_key": true,
	"tollgate.control.v1.AwsSigning.session_token":     true,
}

// mask replaces what must not be seen: what the schema says so of, and values of headers and query parameters, which
// may be credentials.
func mask(m protoreflect.Message) {
	switch one := m.Interface().(type) {
	case *controlv1.Header:
		one.Value = masked
	case *controlv1.QueryParameter:
		one.Value = masked
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		options, _ := f.Options().(*descriptorpb.FieldOptions)
		secret := options.GetDebugRedact() || alsoMasked[f.FullName()]
		switch {
		case secret && f.Kind() == protoreflect.StringKind && !f.IsList() && !f.IsMap():
			m.Set(f, protoreflect.ValueOfString(masked))
		case secret:
			m.Clear(f)
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { mask(v.Message()); return true })
			}
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				mask(v.List().Get(i).Message())
			}
		default:
			mask(v.Message())
		}
		return true
	})
}
