package rpc_test

import (
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

func newToken(t *controlv1.Token) func(*world) proto.Message {
	return is(&controlv1.CreateTokenRequest{Token: t})
}

var keysRead = []controlv1.Permission{controlv1.Permission_PERMISSION_KEYS_READ}

var _ = covers("TokenService", map[string]cases{
	"CreateToken": {
		right: func(w *world) proto.Message {
			return &controlv1.CreateTokenRequest{Token: &controlv1.Token{Name: w.name("ci"), Permissions: keysRead, Team: w.newTeam()}}
		},
		check: func(w *world, res proto.Message) {
			made := res.(*controlv1.CreateTokenResponse)
			secret := made.GetSecret()
			if !strings.HasPrefix(secret, "tgs_") || made.GetToken().GetSuffix() != secret[len(secret)-4:] || made.GetToken().GetCreator() != "admin" {
				w.t.Errorf("%v", made.GetToken())
			}
		},
		wrong: []wrong{
			{violation: "token:required", request: is(&controlv1.CreateTokenRequest{})},
			{violation: "token.name:invalid", request: newToken(&controlv1.Token{Name: "A b", Permissions: keysRead})},
			{violation: "token.permissions:required", request: newToken(&controlv1.Token{Name: "x"})},
			{violation: "token.permissions:invalid", request: newToken(&controlv1.Token{Name: "x", Permissions: keysRead, Role: controlv1.Role_ROLE_VIEWER})},
			{violation: "token.permissions[0]:invalid", request: newToken(&controlv1.Token{Name: "x", Permissions: []controlv1.Permission{1}})},
			{violation: "token.role:invalid", request: newToken(&controlv1.Token{Name: "x", Role: controlv1.Role_ROLE_MEMBER})},
			{violation: "token.team:unknown", request: newToken(&controlv1.Token{Name: "x", Permissions: keysRead, Team: "nobody"})},
			{violation: "token.expire_time:out_of_range", request: newToken(&controlv1.Token{Name: "x", Permissions: keysRead, ExpireTime: timestamppb.New(time.Unix(1, 0))})},
			{violation: "token.name:taken", code: connect.CodeAlreadyExists, request: func(w *world) proto.Message {
				name := w.name("ci")
				w.token(&controlv1.Token{Name: name, Permissions: keysRead})
				return &controlv1.CreateTokenRequest{Token: &controlv1.Token{Name: name, Permissions: keysRead}}
			}},
		},
	},
	"ListTokens": {
		right: is(&controlv1.ListTokensRequest{}),
		wrong: []wrong{
			{violation: "page_size:invalid", request: is(&controlv1.ListTokensRequest{PageSize: -1})},
			{violation: "page_token:invalid", request: is(&controlv1.ListTokensRequest{PageToken: "x"})},
		},
	},
	"RevokeToken": {
		right: func(w *world) proto.Message {
			name := w.name("ci")
			w.token(&controlv1.Token{Name: name, Permissions: keysRead})
			return &controlv1.RevokeTokenRequest{Token: name}
		},
		check: func(w *world, res proto.Message) {
			if res.(*controlv1.RevokeTokenResponse).GetToken().GetRevokeTime() == nil {
				w.t.Errorf("%v", res)
			}
		},
		wrong:    []wrong{{violation: "token:required", request: is(&controlv1.RevokeTokenRequest{})}},
		notFound: is(&controlv1.RevokeTokenRequest{Token: "nobody"}),
	},
})
