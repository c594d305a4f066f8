package rpc

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/diff"
	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/money"
)

func (s *endpointService) ListEndpointRevisions(ctx context.Context, req *controlv1.ListEndpointRevisionsRequest) (*controlv1.ListEndpointRevisionsResponse, error) {
	all, next, err := s.store.EndpointRevisions(ctx, req.GetEndpoint(), store.Page{Size: int(req.GetPageSize()), Token: req.GetPageToken()})
	if err != nil {
		return nil, err
	}
	out := &controlv1.ListEndpointRevisionsResponse{NextPageToken: next}
	for i := range all {
		one, err := revisionTo(&all[i])
		if err != nil {
			return nil, err
		}
		out.Revisions = append(out.Revisions, one)
	}
	return out, nil
}

func (s *endpointService) RevertEndpoint(ctx context.Context, req *controlv1.RevertEndpointRequest) (*controlv1.RevertEndpointResponse, error) {
	e, err := s.store.RevertEndpoint(ctx, actor(ctx), req.GetEndpoint(), req.GetRevision(), req.GetEtag())
	if err != nil {
		return nil, err
	}
	return &controlv1.RevertEndpointResponse{Endpoint: endpointTo(&e)}, nil
}

// revisionTo reads both forms that the audit has kept. One that this version cannot read is no reason to keep the others back.
func revisionTo(r *store.EndpointRevision) (*controlv1.EndpointRevision, error) {
	out := &controlv1.EndpointRevision{Revision: r.Revision, Time: timestamppb.New(r.At), Actor: r.Actor, Action: r.Action}
	before, after := endpointIn(r.Before), endpointIn(r.After)
	out.Endpoint, out.Revertible = after, after != nil
	was, err := formOf(before)
	if err != nil {
		return nil, err
	}
	is, err := formOf(after)
	if err != nil {
		return nil, err
	}
	for _, c := range diff.JSON(was, is, nil) {
		out.Changes = append(out.Changes, &controlv1.FieldChange{Path: c.Path, Before: c.Before, After: c.After})
	}
	return out, nil
}

// endpointIn is the endpoint of a form; nil for none.
func endpointIn(form []byte) *controlv1.Endpoint {
	if form == nil {
		return nil
	}
	e, err := registry.ReadEndpoint(form)
	if err != nil {
		return nil
	}
	return endpointTo(&e)
}

// formOf is the JSON of what people have set of an endpoint, by the names of the API and with amounts as one number each.
func formOf(e *controlv1.Endpoint) ([]byte, error) {
	if e == nil {
		return nil, nil
	}
	e = proto.CloneOf(e)
	m := e.ProtoReflect()
	for _, name := range []protoreflect.Name{"id", "etag", "revision", "create_time", "update_time", "warnings", "managed_by"} {
		m.Clear(m.Descriptor().Fields().ByName(name))
	}
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("compare endpoints: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var form any
	if err := d.Decode(&form); err != nil {
		return nil, fmt.Errorf("compare endpoints: %w", err)
	}
	return json.Marshal(withAmounts(form))
}

// withAmounts writes each amount of money as one number of dollars, in place of its units and nanos.
func withAmounts(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if v["currency_code"] != nil {
			units, _ := v["units"].(string)
			nanos, _ := v["nanos"].(json.Number)
			if amount, err := amountOf(units, nanos.String()); err == nil {
				return amount.String()
			}
		}
		for name := range v {
			v[name] = withAmounts(v[name])
		}
	case []any:
		for i := range v {
			v[i] = withAmounts(v[i])
		}
	}
	return v
}

func amountOf(units, nanos string) (money.Nanos, error) {
	whole, err := strconv.ParseInt(cmp.Or(units, "0"), 10, 64)
	if err != nil {
		return 0, err
	}
	part, err := strconv.ParseInt(cmp.Or(nanos, "0"), 10, 32)
	if err != nil {
		return 0, err
	}
	return money.FromParts(whole, int32(part))
}
