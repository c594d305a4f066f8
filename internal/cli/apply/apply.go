// Package apply carries a plan out on a control plane: it creates what is missing, updates what
// differs, and deletes nothing. Applying the same plan again changes no adapter, model, endpoint or
// key; secrets are written each time, because no server gives their values away for comparison.
package apply

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/plan"
)

// Clients are the services that a plan needs.
type Clients struct {
	Secrets   controlv1connect.SecretServiceClient
	Adapters  controlv1connect.AdapterServiceClient
	Models    controlv1connect.ModelServiceClient
	Endpoints controlv1connect.EndpointServiceClient
	Keys      controlv1connect.KeyServiceClient
}

// NewClients makes the clients of one control plane.
func NewClients(client connect.HTTPClient, url string, opts ...connect.ClientOption) Clients {
	return Clients{
		Secrets:   controlv1connect.NewSecretServiceClient(client, url, opts...),
		Adapters:  controlv1connect.NewAdapterServiceClient(client, url, opts...),
		Models:    controlv1connect.NewModelServiceClient(client, url, opts...),
		Endpoints: controlv1connect.NewEndpointServiceClient(client, url, opts...),
		Keys:      controlv1connect.NewKeyServiceClient(client, url, opts...),
	}
}

// Kind is what an action is about.
type Kind string

// The kinds.
const (
	Secret   Kind = "secret"
	Adapter  Kind = "adapter"
	Model    Kind = "model"
	Endpoint Kind = "endpoint"
	Key      Kind = "key"
)

// Result is what came of it.
type Result string

// The results.
const (
	Created   Result = "created"
	Updated   Result = "updated"
	Rotated   Result = "rotated"
	Unchanged Result = "unchanged"
)

// Action is one thing that was done.
type Action struct {
	Kind   Kind
	Name   string
	Result Result
	Note   string // what to know about it; mostly empty
}

// Report lists what was done, in order.
type Report struct{ Actions []Action }

func (r *Report) add(kind Kind, name string, result Result, note string) {
	r.Actions = append(r.Actions, Action{kind, name, result, note})
}

// Error says at which thing of a plan a failure was met.
type Error struct {
	Kind Kind
	Name string
	Err  error
}

// Error is the text for logs.
func (e *Error) Error() string { return fmt.Sprintf("apply %s %s: %v", e.Kind, e.Name, e.Err) }

// Unwrap is what the server answered.
func (e *Error) Unwrap() error { return e.Err }

// Apply carries the plan out. It stops at the first failure; the report then holds what was done
// before, and applying again goes on from there.
func Apply(ctx context.Context, c Clients, p *plan.Plan) (Report, error) {
	var r Report
	if err := secrets(ctx, c, p.Secrets, &r); err != nil {
		return r, err
	}
	for _, a := range p.Adapters {
		if err := r.put(ctx, Adapter, a.GetName(), adapter(c, a)); err != nil {
			return r, err
		}
	}
	for _, m := range p.Models {
		if err := r.put(ctx, Model, m.GetName(), model(c, m)); err != nil {
			return r, err
		}
	}
	for _, e := range p.Endpoints {
		if err := r.put(ctx, Endpoint, e.GetName(), endpoint(c, e)); err != nil {
			return r, err
		}
	}
	for _, k := range p.Keys {
		if err := key(ctx, c, k, &r); err != nil {
			return r, &Error{Key, k.Name, err}
		}
	}
	return r, nil
}

func secrets(ctx context.Context, c Clients, wanted []plan.Secret, r *Report) error {
	if len(wanted) == 0 {
		return nil
	}
	there := map[string]bool{}
	for token := ""; ; {
		page, err := c.Secrets.ListSecrets(ctx, &controlv1.ListSecretsRequest{PageSize: 1000, PageToken: token})
		if err != nil {
			return fmt.Errorf("list secrets: %w", err)
		}
		for _, s := range page.GetSecrets() {
			there[s.GetName()] = true
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for _, s := range wanted {
		var err error
		result := Created
		if there[s.Name] {
			result = Rotated
			_, err = c.Secrets.RotateSecret(ctx, &controlv1.RotateSecretRequest{Secret: s.Name, Value: s.Value.Reveal()})
		} else {
			_, err = c.Secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: s.Name, Value: s.Value.Reveal()})
		}
		if err != nil {
			return &Error{Secret, s.Name, err}
		}
		r.add(Secret, s.Name, result, "")
	}
	return nil
}

// stored is what a server has of a thing; empty for one that is not there.
type stored struct {
	id, etag string
	revision int64
}

// there is what a server answered; that a thing is not there is no failure.
func there(have stored, err error) (stored, error) {
	if err != nil && connect.CodeOf(err) == connect.CodeNotFound {
		return stored{}, nil
	}
	return have, err
}

// thing is how one thing is written.
type thing struct {
	get    func(context.Context) (stored, error)
	create func(context.Context) error
	update func(context.Context, stored) (revision int64, err error)
}

// put creates what is missing and updates what differs. The server knows what stands for what was left out, and stores
// nothing where nothing changes.
func (r *Report) put(ctx context.Context, kind Kind, name string, t thing) error {
	have, err := t.get(ctx)
	if err != nil {
		return &Error{kind, name, err}
	}
	if have == (stored{}) {
		if err := t.create(ctx); err != nil {
			return &Error{kind, name, err}
		}
		r.add(kind, name, Created, "")
		return nil
	}
	revision, err := t.update(ctx, have)
	if err != nil {
		return &Error{kind, name, err}
	}
	result := Updated
	if revision == have.revision {
		result = Unchanged
	}
	r.add(kind, name, result, "")
	return nil
}

func adapter(c Clients, wanted *controlv1.Adapter) thing {
	return thing{
		get: func(ctx context.Context) (stored, error) {
			got, err := c.Adapters.GetAdapter(ctx, &controlv1.GetAdapterRequest{Adapter: wanted.GetName()})
			return there(stored{got.GetAdapter().GetId(), got.GetAdapter().GetEtag(), got.GetAdapter().GetRevision()}, err)
		},
		create: func(ctx context.Context) error {
			_, err := c.Adapters.CreateAdapter(ctx, &controlv1.CreateAdapterRequest{Adapter: wanted})
			return err
		},
		update: func(ctx context.Context, have stored) (int64, error) {
			next := proto.CloneOf(wanted)
			next.Id, next.Etag = have.id, have.etag
			res, err := c.Adapters.UpdateAdapter(ctx, &controlv1.UpdateAdapterRequest{Adapter: next})
			return res.GetAdapter().GetRevision(), err
		},
	}
}

func model(c Clients, wanted *controlv1.Model) thing {
	return thing{
		get: func(ctx context.Context) (stored, error) {
			got, err := c.Models.GetModel(ctx, &controlv1.GetModelRequest{Model: wanted.GetName()})
			if m := got.GetModel(); err == nil && m.GetName() != wanted.GetName() {
				return stored{}, nil // an alias of another model was found; creating tells whose it is
			}
			return there(stored{got.GetModel().GetId(), got.GetModel().GetEtag(), got.GetModel().GetRevision()}, err)
		},
		create: func(ctx context.Context) error {
			_, err := c.Models.CreateModel(ctx, &controlv1.CreateModelRequest{Model: wanted})
			return err
		},
		update: func(ctx context.Context, have stored) (int64, error) {
			next := proto.CloneOf(wanted)
			next.Id, next.Etag = have.id, have.etag
			res, err := c.Models.UpdateModel(ctx, &controlv1.UpdateModelRequest{Model: next})
			return res.GetModel().GetRevision(), err
		},
	}
}

func endpoint(c Clients, wanted *controlv1.Endpoint) thing {
	return thing{
		get: func(ctx context.Context) (stored, error) {
			got, err := c.Endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: wanted.GetName()})
			return there(stored{got.GetEndpoint().GetId(), got.GetEndpoint().GetEtag(), got.GetEndpoint().GetRevision()}, err)
		},
		create: func(ctx context.Context) error {
			_, err := c.Endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: wanted})
			return err
		},
		update: func(ctx context.Context, have stored) (int64, error) {
			next := proto.CloneOf(wanted)
			next.Id, next.Etag = have.id, have.etag
			res, err := c.Endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: next})
			return res.GetEndpoint().GetRevision(), err
		},
	}
}

func key(ctx context.Context, c Clients, wanted plan.Key, r *Report) error {
	got, err := c.Keys.GetKey(ctx, &controlv1.GetKeyRequest{Key: wanted.Name})
	if err == nil {
		note := ""
		if got.GetKey().GetRevokeTime() != nil {
			note = "It was revoked, and stays so."
		}
		r.add(Key, wanted.Name, Unchanged, note)
		return nil
	}
	if connect.CodeOf(err) != connect.CodeNotFound {
		return err
	}
	if _, err := c.Keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: wanted.Name, SecretSha256: wanted.SHA256}); err != nil {
		return err
	}
	r.add(Key, wanted.Name, Created, "")
	return nil
}
