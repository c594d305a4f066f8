package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
	"tollgate/loadtest/deployment"
)

const (
	team       = "soak"
	liveWithin = 20 * time.Second
	bookWithin = 40 * time.Second
	budget     = 100_000 * money.Dollar // far more than anybody spends
)

// secrets are the vendor credentials, by name.
var secrets = []string{"vendor", "spare"}

// changes are those of the configuration, made as an administrator makes them.
type changes struct {
	rpc     clients
	vendors *vendors
	b       *deployment.Balancer
	keys    rotation[string] // their secrets
	dyn     rotation[string] // the endpoint that comes and goes

	later sync.WaitGroup // what waits for the last use of something

	mu     sync.Mutex        // guards what follows
	kinds  map[string]string // by id of endpoint
	made   map[string]int64  // changes by what they changed
	errs   []error
	number int
	keyID  string // id of the present key
}

// newChanges makes the first configuration.
func newChanges(ctx context.Context, rpc clients, v *vendors, b *deployment.Balancer) (*changes, error) {
	c := &changes{rpc: rpc, vendors: v, b: b, kinds: map[string]string{}, made: map[string]int64{}}
	for _, name := range secrets {
		if _, err := c.rpc.secrets.CreateSecret(ctx, &controlv1.CreateSecretRequest{Name: name, Value: credentialPrefix + name}); err != nil {
			return nil, fmt.Errorf("create a secret: %w", err)
		}
	}
	if _, err := c.rpc.teams.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: team}); err != nil {
		return nil, fmt.Errorf("create the team: %w", err)
	}
	if _, err := c.rpc.budgets.CreateBudget(ctx, &controlv1.CreateBudgetRequest{Budget: &controlv1.Budget{
		Name: team, Scope: &controlv1.Budget_Team{Team: team}, Amount: contract.MoneyToProto(budget), Period: controlv1.Period_PERIOD_TOTAL,
	}}); err != nil {
		return nil, fmt.Errorf("create the budget: %w", err)
	}
	for kind := range prices {
		if kind == "dyn" {
			continue // it is made by a change
		}
		resp, err := c.rpc.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: c.endpoint(kind)})
		if err != nil {
			return nil, fmt.Errorf("create endpoint %s: %w", kind, err)
		}
		c.kinds[resp.GetEndpoint().GetId()] = kind
	}
	if err := b.AwaitAll(ctx); err != nil {
		return nil, err
	}
	return c, errors.Join(c.rotateKey(ctx), c.replaceEndpoint(ctx))
}

// run changes something every so often until over ends, and then waits for what is still in use.
func (c *changes) run(ctx, over context.Context, every time.Duration) error {
	defer c.later.Wait()
	list := []struct {
		what   string
		change func(context.Context) error
	}{
		{"endpoints", c.updateEndpoint},
		{"keys", c.rotateKey},
		{"endpoints", c.updateEndpoint},
		{"endpoints replaced", c.replaceEndpoint},
		{"endpoints", c.updateEndpoint},
		{"budgets", c.raiseBudget},
		{"endpoints", c.updateEndpoint},
		{"secrets", c.rotateSecret},
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-over.Done():
			return nil
		case <-tick.C:
		}
		one := list[i%len(list)]
		if err := one.change(ctx); err != nil {
			return fmt.Errorf("change of %s: %w", one.what, err)
		}
		c.mu.Lock()
		c.made[one.what]++
		c.mu.Unlock()
	}
}

// after waits for the last use of something and does what can be done then.
func (c *changes) after(users *sync.WaitGroup, do func() error) {
	c.later.Go(func() {
		users.Wait()
		if err := do(); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.errs = append(c.errs, err)
		}
	})
}

func (c *changes) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.number++
	return c.number
}

// updateEndpoint gives an endpoint other targets, headers and so on.
func (c *changes) updateEndpoint(ctx context.Context) error {
	c.mu.Lock()
	names := slices.Collect(maps.Values(c.kinds))
	c.mu.Unlock()
	name := names[rand.IntN(len(names))]
	if name == "dyn" {
		name = "stream"
	}
	_, err := c.rpc.endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{Endpoint: c.endpoint(name)})
	return err
}

// rotateKey makes a key, has it used as soon as edges know it, and revokes the one before when nobody
// uses that any more.
func (c *changes) rotateKey(ctx context.Context) error {
	made, err := c.rpc.keys.CreateKey(ctx, &controlv1.CreateKeyRequest{Name: fmt.Sprintf("k-%d", c.next()), Team: team})
	if err != nil {
		return err
	}
	if err := c.awaitLive(ctx, made.GetKey().GetRevision()); err != nil {
		return err
	}
	before := c.keys.replace(made.GetSecret())
	id := made.GetKey().GetId()
	c.mu.Lock()
	old := c.keyID
	c.keyID = id
	c.mu.Unlock()
	if before != nil {
		c.after(&before.users, func() error {
			_, err := c.rpc.keys.RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: old})
			return err
		})
	}
	return nil
}

// replaceEndpoint does the same with an endpoint.
func (c *changes) replaceEndpoint(ctx context.Context) error {
	name := fmt.Sprintf("dyn-%d", c.next())
	made, err := c.rpc.endpoints.CreateEndpoint(ctx, &controlv1.CreateEndpointRequest{Endpoint: c.endpoint(name)})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.kinds[made.GetEndpoint().GetId()] = "dyn"
	c.mu.Unlock()
	if err := c.awaitLive(ctx, made.GetEndpoint().GetRevision()); err != nil {
		return err
	}
	if before := c.dyn.replace(name); before != nil {
		c.after(&before.users, func() error {
			_, err := c.rpc.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: before.value})
			return err
		})
	}
	return nil
}

func (c *changes) raiseBudget(ctx context.Context) error {
	_, err := c.rpc.budgets.RaiseBudget(ctx, &controlv1.RaiseBudgetRequest{
		Budget: team, By: contract.MoneyToProto(money.Dollar),
		End: &controlv1.RaiseBudgetRequest_Until{Until: timestamppb.New(time.Now().Add(10 * time.Second))},
	})
	return err
}

func (c *changes) rotateSecret(ctx context.Context) error {
	name := secrets[rand.IntN(len(secrets))]
	_, err := c.rpc.secrets.RotateSecret(ctx, &controlv1.RotateSecretRequest{Secret: name, Value: fmt.Sprint(credentialPrefix, c.next())})
	return err
}

// awaitLive returns when every edge that takes requests has a revision. One that starts meanwhile must
// have it before it takes any.
func (c *changes) awaitLive(ctx context.Context, revision int64) error {
	for deadline := time.Now().Add(liveWithin); ; {
		resp, err := c.rpc.system.ListNodes(ctx, &controlv1.ListNodesRequest{})
		if err != nil {
			return err
		}
		at := map[string]int64{}
		for _, n := range resp.GetNodes() {
			at[n.GetId()] = n.GetRevision()
		}
		behind := ""
		for _, back := range c.b.Backends {
			if back.Ready() && at[back.Edge.Name] < revision {
				behind = back.Edge.Name
			}
		}
		if behind == "" {
			return nil
		}
		if time.Now().After(deadline) || !deployment.Pause(ctx, 30*time.Millisecond) {
			return fmt.Errorf("%s has revision %d instead of %d after %s", behind, at[behind], revision, liveWithin)
		}
	}
}
