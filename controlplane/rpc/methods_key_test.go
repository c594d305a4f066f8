package rpc_test

import (
	"bytes"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// newKey makes a key.
func (w *world) newKey() *controlv1.Key {
	w.t.Helper()
	return w.key(&controlv1.CreateKeyRequest{Name: w.name("key")})
}

// staleKey makes a key and returns it with an etag that was right once.
func (w *world) staleKey() (key, etag string) {
	w.t.Helper()
	k := w.newKey()
	must[*controlv1.BlockKeyResponse](w.t)(w.keys.BlockKey(w.t.Context(), &controlv1.BlockKeyRequest{Key: k.GetName(), Blocked: true}))
	return k.GetName(), k.GetEtag()
}

// rotating makes a key with two secrets that work.
func (w *world) rotating() *controlv1.Key {
	w.t.Helper()
	return must[*controlv1.RotateKeyResponse](w.t)(w.keys.RotateKey(w.t.Context(), &controlv1.RotateKeyRequest{Key: w.newKey().GetName()})).GetKey()
}

func (w *world) revoked() string {
	w.t.Helper()
	return must[*controlv1.RevokeKeyResponse](w.t)(w.keys.RevokeKey(w.t.Context(), &controlv1.RevokeKeyRequest{Key: w.newKey().GetName()})).GetKey().GetName()
}

func (w *world) sameKey(got *controlv1.Key) {
	w.t.Helper()
	read := must[*controlv1.GetKeyResponse](w.t)(w.keys.GetKey(w.t.Context(), &controlv1.GetKeyRequest{Key: got.GetId()})).GetKey()
	if !proto.Equal(read, got) {
		w.t.Errorf("answered %v, read %v", got, read)
	}
}

func paths(names ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: names} }

var past = timestamppb.New(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))

var _ = covers("KeyService", map[string]cases{
	"CreateKey": {
		right: func(w *world) proto.Message {
			return &controlv1.CreateKeyRequest{
				Name: w.name("key"), Team: w.newTeam(), Description: "for tests", Methods: []string{"POST", "GET"},
				Networks: []string{"10.1.2.3/8", "2001:db8::1"}, Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{"owner": structpb.NewStringValue("ann")}},
				Blocked: true, Budget: &controlv1.DefaultBudget{Amount: usd(5, 0), Period: controlv1.Period_PERIOD_DAY},
			}
		},
		check: func(w *world, res proto.Message) {
			made := res.(*controlv1.CreateKeyResponse)
			k := made.GetKey()
			w.sameKey(k)
			if s := made.GetSecret(); s[:8] != k.GetPrefix() || s[len(s)-4:] != k.GetSuffix() || k.GetStatus() != controlv1.KeyStatus_KEY_STATUS_BLOCKED {
				w.t.Errorf("made %v", k)
			}
			if !slices.Equal(k.GetNetworks(), []string{"10.0.0.0/8", "2001:db8::1/128"}) || !slices.Equal(k.GetMethods(), []string{"GET", "POST"}) {
				w.t.Errorf("networks %v, methods %v", k.GetNetworks(), k.GetMethods())
			}
			b := must[*controlv1.GetBudgetResponse](w.t)(w.budgets.GetBudget(w.t.Context(), &controlv1.GetBudgetRequest{Budget: k.GetName()})).GetBudget()
			if b.GetKey() != k.GetName() || b.GetAmount().GetUnits() != 5 {
				w.t.Errorf("its budget is %v", b)
			}
		},
		wrong: []wrong{
			{violation: "name:invalid", request: is(&controlv1.CreateKeyRequest{Name: "A key"})},
			{violation: "name:taken", request: func(w *world) proto.Message { return &controlv1.CreateKeyRequest{Name: w.newKey().GetName()} }, code: connect.CodeAlreadyExists},
			{violation: "team:unknown", request: func(w *world) proto.Message { return &controlv1.CreateKeyRequest{Name: w.name("key"), Team: "nobody"} }},
			{violation: "endpoints[0]:unknown", request: func(w *world) proto.Message {
				return &controlv1.CreateKeyRequest{Name: w.name("key"), Endpoints: []string{"nowhere"}}
			}},
			{violation: "networks:invalid", request: func(w *world) proto.Message {
				return &controlv1.CreateKeyRequest{Name: w.name("key"), Networks: []string{"10.0.0.0/99"}}
			}},
			{violation: "networks:duplicate", request: func(w *world) proto.Message {
				return &controlv1.CreateKeyRequest{Name: w.name("key"), Networks: []string{"10.0.0.0/8", "10.1.0.0/8"}}
			}},
			{violation: "methods:forbidden", request: func(w *world) proto.Message {
				return &controlv1.CreateKeyRequest{Name: w.name("key"), Methods: []string{"TRACE"}}
			}},
			{violation: "expire_time:out_of_range", request: func(w *world) proto.Message {
				return &controlv1.CreateKeyRequest{Name: w.name("key"), ExpireTime: past}
			}},
			{violation: "description:invalid", request: func(w *world) proto.Message {
				return &controlv1.CreateKeyRequest{Name: w.name("key"), Description: "a\x00b"}
			}},
			{violation: "metadata:invalid", request: func(w *world) proto.Message {
				return &controlv1.CreateKeyRequest{Name: w.name("key"), Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewStringValue("\x00")}}}
			}},
			{violation: "budget.amount:required", request: func(w *world) proto.Message {
				return &controlv1.CreateKeyRequest{Name: w.name("key"), Budget: &controlv1.DefaultBudget{Period: 1}}
			}},
		},
	},
	"GetKey": {
		right:    func(w *world) proto.Message { return &controlv1.GetKeyRequest{Key: w.newKey().GetId()} },
		wrong:    []wrong{{violation: "key:required", request: is(&controlv1.GetKeyRequest{})}},
		notFound: is(&controlv1.GetKeyRequest{Key: "nobody"}),
	},
	"ListKeys": {
		right: func(w *world) proto.Message {
			return &controlv1.ListKeysRequest{Filter: "status:active -team:nobody " + w.newKey().GetName(), OrderBy: "-create_time"}
		},
		check: func(w *world, res proto.Message) {
			if n := len(res.(*controlv1.ListKeysResponse).GetKeys()); n < 1 {
				w.t.Error("the key is not listed")
			}
		},
		wrong: []wrong{
			{violation: "page_size:invalid", request: is(&controlv1.ListKeysRequest{PageSize: -1})},
			{violation: "page_token:invalid", request: is(&controlv1.ListKeysRequest{PageToken: "x"})},
			{violation: "filter:invalid", request: is(&controlv1.ListKeysRequest{Filter: `"`})},
			{violation: "filter:filter_field", request: is(&controlv1.ListKeysRequest{Filter: "colour:red"})},
			{violation: "filter:filter_value", request: is(&controlv1.ListKeysRequest{Filter: "status:red"})},
			{violation: "order_by:order_by_field", request: is(&controlv1.ListKeysRequest{OrderBy: "colour"})},
		},
	},
	"UpdateKey": {
		right: func(w *world) proto.Message {
			k := w.newKey()
			return &controlv1.UpdateKeyRequest{
				Key: k.GetName(), UpdateMask: paths("description", "networks", "expire_time", "metadata", "methods", "team", "endpoints"), Etag: k.GetEtag(),
				Description: "new", Networks: []string{"192.0.2.1"}, ExpireTime: timestamppb.New(time.Now().Add(time.Hour)), Team: w.newTeam(),
				Methods: []string{"PUT"},
			}
		},
		check: func(w *world, res proto.Message) {
			k := res.(*controlv1.UpdateKeyResponse).GetKey()
			w.sameKey(k)
			if k.GetDescription() != "new" || !k.GetRestricted() || k.GetTeam() == "" || k.GetStatus() != controlv1.KeyStatus_KEY_STATUS_EXPIRING {
				w.t.Errorf("updated %v", k)
			}
		},
		wrong: []wrong{
			{violation: "key:required", request: is(&controlv1.UpdateKeyRequest{})},
			{violation: "update_mask:mask_path", request: func(w *world) proto.Message {
				return &controlv1.UpdateKeyRequest{Key: w.newKey().GetName(), UpdateMask: paths("name")}
			}},
			{violation: "endpoints:forbidden", request: func(w *world) proto.Message {
				return &controlv1.UpdateKeyRequest{Key: w.newKey().GetName(), UpdateMask: paths("restricted"), Endpoints: []string{"a"}}
			}},
			{violation: "team:unknown", request: func(w *world) proto.Message {
				return &controlv1.UpdateKeyRequest{Key: w.newKey().GetName(), Team: "nobody"}
			}},
			{violation: "endpoints[0]:unknown", request: func(w *world) proto.Message {
				return &controlv1.UpdateKeyRequest{Key: w.newKey().GetName(), UpdateMask: paths("endpoints"), Endpoints: []string{"nowhere"}}
			}},
			{violation: "expire_time:out_of_range", request: func(w *world) proto.Message {
				return &controlv1.UpdateKeyRequest{Key: w.newKey().GetName(), UpdateMask: paths("expire_time"), ExpireTime: past}
			}},
			{violation: "", code: connect.CodeFailedPrecondition, request: func(w *world) proto.Message { return &controlv1.UpdateKeyRequest{Key: w.revoked()} }},
		},
		stale: func(w *world) proto.Message {
			key, etag := w.staleKey()
			return &controlv1.UpdateKeyRequest{Key: key, Etag: etag}
		},
		notFound: is(&controlv1.UpdateKeyRequest{Key: "nobody"}),
	},
	"BlockKey": {
		right: func(w *world) proto.Message {
			return &controlv1.BlockKeyRequest{Key: w.newKey().GetName(), Blocked: true}
		},
		check: func(w *world, res proto.Message) {
			k := res.(*controlv1.BlockKeyResponse).GetKey()
			w.sameKey(k)
			again := must[*controlv1.BlockKeyResponse](w.t)(w.keys.BlockKey(w.t.Context(), &controlv1.BlockKeyRequest{Key: k.GetId(), Blocked: true})).GetKey()
			if !k.GetBlocked() || !proto.Equal(again, k) {
				w.t.Errorf("blocked %v, again %v", k, again)
			}
		},
		wrong: []wrong{
			{violation: "key:required", request: is(&controlv1.BlockKeyRequest{})},
			{violation: "", code: connect.CodeFailedPrecondition, request: func(w *world) proto.Message { return &controlv1.BlockKeyRequest{Key: w.revoked(), Blocked: true} }},
		},
		stale: func(w *world) proto.Message {
			key, etag := w.staleKey()
			return &controlv1.BlockKeyRequest{Key: key, Etag: etag}
		},
		notFound: is(&controlv1.BlockKeyRequest{Key: "nobody"}),
	},
	"RotateKey": {
		right: func(w *world) proto.Message {
			return &controlv1.RotateKeyRequest{Key: w.newKey().GetName(), Overlap: durationpb.New(time.Hour)}
		},
		check: func(w *world, res proto.Message) {
			made := res.(*controlv1.RotateKeyResponse)
			k := made.GetKey()
			w.sameKey(k)
			if s := made.GetSecret(); k.GetStatus() != controlv1.KeyStatus_KEY_STATUS_ROTATING || s[len(s)-4:] != k.GetSuffix() ||
				k.GetOverlapEndTime().AsTime().Sub(k.GetRotateTime().AsTime()) != time.Hour {
				w.t.Errorf("rotated %v", k)
			}
		},
		wrong: []wrong{
			{violation: "key:required", request: is(&controlv1.RotateKeyRequest{})},
			{violation: "overlap:invalid", request: is(&controlv1.RotateKeyRequest{Key: "x", Overlap: durationpb.New(31 * 24 * time.Hour)})},
			{violation: "overlap:invalid", request: is(&controlv1.RotateKeyRequest{Key: "x", Overlap: durationpb.New(-time.Second)})},
			{violation: "secret_sha256:invalid", request: is(&controlv1.RotateKeyRequest{Key: "x", SecretSha256: []byte("short")})},
			{violation: "secret_sha256:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				hash := bytes.Repeat([]byte{byte(w.names), 7}, 16)
				w.key(&controlv1.CreateKeyRequest{Name: w.name("key"), SecretSha256: hash})
				return &controlv1.RotateKeyRequest{Key: w.newKey().GetName(), SecretSha256: hash}
			}},
			{violation: "", code: connect.CodeFailedPrecondition, request: func(w *world) proto.Message { return &controlv1.RotateKeyRequest{Key: w.rotating().GetName()} }},
			{violation: "", code: connect.CodeFailedPrecondition, request: func(w *world) proto.Message { return &controlv1.RotateKeyRequest{Key: w.revoked()} }},
		},
		stale: func(w *world) proto.Message {
			key, etag := w.staleKey()
			return &controlv1.RotateKeyRequest{Key: key, Etag: etag}
		},
		notFound: is(&controlv1.RotateKeyRequest{Key: "nobody"}),
	},
	"EndKeyOverlap": {
		right: func(w *world) proto.Message { return &controlv1.EndKeyOverlapRequest{Key: w.rotating().GetName()} },
		check: func(w *world, res proto.Message) {
			k := res.(*controlv1.EndKeyOverlapResponse).GetKey()
			w.sameKey(k)
			if k.GetOverlapEndTime() != nil || k.GetStatus() != controlv1.KeyStatus_KEY_STATUS_ACTIVE {
				w.t.Errorf("ended %v", k)
			}
		},
		wrong: []wrong{
			{violation: "key:required", request: is(&controlv1.EndKeyOverlapRequest{})},
			{violation: "end_time:out_of_range", request: func(w *world) proto.Message {
				return &controlv1.EndKeyOverlapRequest{Key: w.rotating().GetName(), EndTime: past}
			}},
			{violation: "end_time:out_of_range", request: func(w *world) proto.Message {
				return &controlv1.EndKeyOverlapRequest{Key: w.rotating().GetName(), EndTime: timestamppb.New(time.Now().Add(31 * 24 * time.Hour))}
			}},
			{violation: "", code: connect.CodeFailedPrecondition, request: func(w *world) proto.Message { return &controlv1.EndKeyOverlapRequest{Key: w.newKey().GetName()} }},
		},
		notFound: is(&controlv1.EndKeyOverlapRequest{Key: "nobody"}),
	},
	"GetKeyUse": {
		right: func(w *world) proto.Message { return &controlv1.GetKeyUseRequest{Key: w.rotating().GetName()} },
		check: func(w *world, res proto.Message) {
			s := res.(*controlv1.GetKeyUseResponse).GetSecrets()
			if len(s) != 2 || !s[0].GetCurrent() || s[1].GetCurrent() || s[0].GetEndTime() != nil || s[1].GetEndTime() == nil ||
				!s[0].GetCreateTime().AsTime().After(s[1].GetCreateTime().AsTime()) || s[0].GetSuffix() == "" || s[0].GetSuffix() == s[1].GetSuffix() {
				w.t.Errorf("uses %v", s)
			}
		},
		wrong:    []wrong{{violation: "key:required", request: is(&controlv1.GetKeyUseRequest{})}},
		notFound: is(&controlv1.GetKeyUseRequest{Key: "nobody"}),
	},
	"RevokeKey": {
		right: func(w *world) proto.Message { return &controlv1.RevokeKeyRequest{Key: w.rotating().GetName()} },
		check: func(w *world, res proto.Message) {
			k := res.(*controlv1.RevokeKeyResponse).GetKey()
			w.sameKey(k)
			if k.GetStatus() != controlv1.KeyStatus_KEY_STATUS_REVOKED {
				w.t.Errorf("revoked %v", k)
			}
		},
		wrong: []wrong{{violation: "key:required", request: is(&controlv1.RevokeKeyRequest{})}},
		stale: func(w *world) proto.Message {
			key, etag := w.staleKey()
			return &controlv1.RevokeKeyRequest{Key: key, Etag: etag}
		},
		notFound: is(&controlv1.RevokeKeyRequest{Key: "nobody"}),
	},
})
