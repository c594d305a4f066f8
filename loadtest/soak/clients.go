package main

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/loadtest/deployment"
)

// clients are the services of the control plane that are used.
type clients struct {
	endpoints controlv1connect.EndpointServiceClient
	keys      controlv1connect.KeyServiceClient
	budgets   controlv1connect.BudgetServiceClient
	teams     controlv1connect.TeamServiceClient
	secrets   controlv1connect.SecretServiceClient
	usage     controlv1connect.UsageServiceClient
	system    controlv1connect.SystemServiceClient
}

func newClients(url string) clients {
	hc := &http.Client{Timeout: 20 * time.Second}
	auth := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+deployment.AdminToken)
			return next(ctx, req)
		}
	}))
	return clients{
		endpoints: controlv1connect.NewEndpointServiceClient(hc, url, auth),
		keys:      controlv1connect.NewKeyServiceClient(hc, url, auth),
		budgets:   controlv1connect.NewBudgetServiceClient(hc, url, auth),
		teams:     controlv1connect.NewTeamServiceClient(hc, url, auth),
		secrets:   controlv1connect.NewSecretServiceClient(hc, url, auth),
		usage:     controlv1connect.NewUsageServiceClient(hc, url, auth),
		system:    controlv1connect.NewSystemServiceClient(hc, url, auth),
	}
}
