// Package client calls a Tollgate control plane from Go. It makes the clients of all services with what every program needs
// around them: who calls, which authorities are trusted, several servers of which some may be away, calls that are made again
// without being done twice, errors that say what to do, lists as sequences, and streams that go on after a break.
//
//	tg, err := client.New("https://tollgate.internal:4001", client.WithToken(os.Getenv("TOLLGATE_TOKEN")))
//	made, err := tg.Keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: "ci-bot"})
//
// Requests and answers are the messages of package controlv1, whose comments say what each field is. The package keeps no state
// between calls but which server answered last; it is not for calling vendors through the gateway, which any HTTP client does.
package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"connectrpc.com/connect"

	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

// Client has the services of one deployment. It is safe for concurrent use. Make it with New.
type Client struct {
	Account      controlv1connect.AccountServiceClient
	Adapters     controlv1connect.AdapterServiceClient
	Audit        controlv1connect.AuditServiceClient
	Budgets      controlv1connect.BudgetServiceClient
	Config       controlv1connect.ConfigServiceClient
	Customers    controlv1connect.CustomerServiceClient
	Edges        controlv1connect.EdgeServiceClient
	Endpoints    controlv1connect.EndpointServiceClient
	Explanations controlv1connect.ExplainServiceClient
	Keys         controlv1connect.KeyServiceClient
	Limits       controlv1connect.LimitServiceClient
	Models       controlv1connect.ModelServiceClient
	People       controlv1connect.PersonServiceClient
	PriceBook    controlv1connect.PriceBookServiceClient
	Prices       controlv1connect.PriceServiceClient
	Requests     controlv1connect.RequestServiceClient
	Search       controlv1connect.SearchServiceClient
	Secrets      controlv1connect.SecretServiceClient
	Settings     controlv1connect.SettingsServiceClient
	System       controlv1connect.SystemServiceClient
	Tags         controlv1connect.TagServiceClient
	Teams        controlv1connect.TeamServiceClient
	Templates    controlv1connect.TemplateServiceClient
	Tokens       controlv1connect.TokenServiceClient
	Tries        controlv1connect.TryServiceClient
	Usage        controlv1connect.UsageServiceClient

	retry Retry
	quiet time.Duration // without a message, after which a stream is taken for dead
}

// streams send something every ten seconds.
const quiet = 30 * time.Second

// New makes a client of the control plane at an http or https URL. Nothing is sent before the first call.
func New(server string, options ...Option) (*Client, error) {
	s := settings{retry: DefaultRetry, agent: "tollgate-client-go"}
	for _, o := range options {
		if err := o(&s); err != nil {
			return nil, err
		}
	}
	var bases []*url.URL
	for _, text := range append([]string{server}, s.servers...) {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("the server %q is no URL such as https://tollgate.internal:4001", text)
		}
		bases = append(bases, u)
	}
	several := http.Client{}
	if s.http != nil {
		several = *s.http
		if s.roots != nil {
			return nil, errors.New("with an HTTP client of its own, the authorities are set there")
		}
	}
	if several.Transport == nil {
		var err error
		if several.Transport, err = newTransport(s.roots); err != nil {
			return nil, err
		}
	}
	several.Transport = newServers(bases, several.Transport)
	if several.CheckRedirect == nil { // a token goes nowhere but to the servers that it was given for
		several.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}

	h, at := &several, bases[0].String()
	o := connect.WithInterceptors(calls{s})
	return &Client{
		Account:      controlv1connect.NewAccountServiceClient(h, at, o),
		Adapters:     controlv1connect.NewAdapterServiceClient(h, at, o),
		Audit:        controlv1connect.NewAuditServiceClient(h, at, o),
		Budgets:      controlv1connect.NewBudgetServiceClient(h, at, o),
		Config:       controlv1connect.NewConfigServiceClient(h, at, o),
		Customers:    controlv1connect.NewCustomerServiceClient(h, at, o),
		Edges:        controlv1connect.NewEdgeServiceClient(h, at, o),
		Endpoints:    controlv1connect.NewEndpointServiceClient(h, at, o),
		Explanations: controlv1connect.NewExplainServiceClient(h, at, o),
		Keys:         controlv1connect.NewKeyServiceClient(h, at, o),
		Limits:       controlv1connect.NewLimitServiceClient(h, at, o),
		Models:       controlv1connect.NewModelServiceClient(h, at, o),
		People:       controlv1connect.NewPersonServiceClient(h, at, o),
		PriceBook:    controlv1connect.NewPriceBookServiceClient(h, at, o),
		Prices:       controlv1connect.NewPriceServiceClient(h, at, o),
		Requests:     controlv1connect.NewRequestServiceClient(h, at, o),
		Search:       controlv1connect.NewSearchServiceClient(h, at, o),
		Secrets:      controlv1connect.NewSecretServiceClient(h, at, o),
		Settings:     controlv1connect.NewSettingsServiceClient(h, at, o),
		System:       controlv1connect.NewSystemServiceClient(h, at, o),
		Tags:         controlv1connect.NewTagServiceClient(h, at, o),
		Teams:        controlv1connect.NewTeamServiceClient(h, at, o),
		Templates:    controlv1connect.NewTemplateServiceClient(h, at, o),
		Tokens:       controlv1connect.NewTokenServiceClient(h, at, o),
		Tries:        controlv1connect.NewTryServiceClient(h, at, o),
		Usage:        controlv1connect.NewUsageServiceClient(h, at, o),
		retry:        s.retry,
		quiet:        quiet,
	}, nil
}
