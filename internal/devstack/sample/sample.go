package sample

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/bus"
)

// Options are what the sample data is made with.
type Options struct {
	Client    *http.Client      // presents the admin token
	Transport http.RoundTripper // presents nothing
	URL       string            // of the control plane
	Vendor    string            // host and port of the mock vendor
	Token     string            // that it wants
	Kept      *Kept
}

// Data is the sample data of one stack.
type Data struct {
	o    Options
	end  time.Time // of the history: when the first team was made
	ids  ids
	past []attempt
}

// ids are what the API made of names.
type ids struct {
	keys, endpoints map[string]string
	revisions       map[string]int64 // of endpoints, of what was charged in the history
}

// Make makes everything but the history's spend. Once all of it has been made, it only leads endpoints to where the mock vendor is
// now, if that has moved.
func Make(ctx context.Context, o Options) (*Data, error) {
	d := &Data{o: o, ids: ids{map[string]string{}, map[string]string{}, map[string]int64{}}}
	if err := d.follow(ctx); err != nil {
		return nil, fmt.Errorf("endpoints of the sample data: %w", err)
	}
	if o.Kept.Made {
		return d, nil
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"teams", d.makeTeams}, {"customers and tags", d.makeNames}, {"secrets", d.makeSecrets}, {"endpoints", d.makeEndpoints}, {"keys", d.makeKeys}, {"people", d.makePeople},
	} {
		if err := step.do(ctx); err != nil {
			return nil, fmt.Errorf("%s of the sample data: %w", step.what, err)
		}
	}
	d.past = history(d.end)
	if err := d.makeBudgets(ctx); err != nil {
		return nil, fmt.Errorf("budgets of the sample data: %w", err)
	}
	return d, nil
}

// Book has the ledger book the history, if it has not yet. The edges serve the newest revision by now, so that the accounts of the
// budgets are known.
func (d *Data) Book(ctx context.Context, conn *bus.Conn) error {
	if d.o.Kept.Made {
		return nil
	}
	if err := d.book(ctx, conn); err != nil {
		return fmt.Errorf("spend of the sample data: %w", err)
	}
	d.o.Kept.Made, d.o.Kept.fresh = true, true
	return d.o.Kept.save()
}

// follow leads endpoints to the mock vendor's address of this start.
func (d *Data) follow(ctx context.Context) error {
	was := d.o.Kept.Vendor
	if was == d.o.Vendor {
		return nil
	}
	if was != "" {
		endpoints := controlv1connect.NewEndpointServiceClient(d.o.Client, d.o.URL)
		list, err := endpoints.ListEndpoints(ctx, &controlv1.ListEndpointsRequest{PageSize: 1000})
		if err != nil {
			return err
		}
		for _, e := range list.GetEndpoints() {
			moved := false
			for _, t := range e.GetTargets() {
				if rest, ok := strings.CutPrefix(t.GetUrl(), "http://"+was); ok && (rest == "" || rest[0] == '/') {
					t.Url, moved = "http://"+d.o.Vendor+rest, true
				}
			}
			if !moved {
				continue
			}
			if _, err := endpoints.UpdateEndpoint(ctx, &controlv1.UpdateEndpointRequest{
				Endpoint: e, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"targets"}},
			}); err != nil {
				return err
			}
		}
	}
	d.o.Kept.Vendor = d.o.Vendor
	return d.o.Kept.save()
}

// exists passes over that a thing is there from before.
func exists(err error) error {
	if connect.CodeOf(err) == connect.CodeAlreadyExists {
		return nil
	}
	return err
}
