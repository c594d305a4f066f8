package sample

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

// makeTeams makes the teams, the first of which dates the history.
func (d *Data) makeTeams(ctx context.Context) error {
	client := controlv1connect.NewTeamServiceClient(d.o.Client, d.o.URL)
	for _, t := range teams {
		if _, err := client.CreateTeam(ctx, &controlv1.CreateTeamRequest{Name: t.name, Description: t.about}); exists(err) != nil {
			return err
		}
	}
	first, err := client.GetTeam(ctx, &controlv1.GetTeamRequest{Team: teams[0].name})
	if err != nil {
		return err
	}
	d.end = first.GetTeam().GetCreateTime().AsTime().Truncate(time.Millisecond)
	return nil
}

// makeNames says what customers and tags are.
func (d *Data) makeNames(ctx context.Context) error {
	client := controlv1connect.NewCustomerServiceClient(d.o.Client, d.o.URL)
	for _, c := range customers {
		_, err := client.CreateCustomer(ctx, &controlv1.CreateCustomerRequest{Customer: &controlv1.Customer{Name: c.name, DisplayName: c.display}})
		if exists(err) != nil {
			return err
		}
	}
	tags := controlv1connect.NewTagServiceClient(d.o.Client, d.o.URL)
	for name, about := range map[string]string{"campaign": "Work for campaigns", "batch": "Jobs that can wait", "chat": "Talk with customers"} {
		if _, err := tags.SetTag(ctx, &controlv1.SetTagRequest{Tag: &controlv1.Tag{Name: name, Description: about}}); err != nil {
			return err
		}
	}
	return nil
}

// makeKeys makes the keys. Their secrets are kept as they are made: nobody can ask for them later.
func (d *Data) makeKeys(ctx context.Context) error {
	client := controlv1connect.NewKeyServiceClient(d.o.Client, d.o.URL)
	for _, k := range keys {
		got, err := client.GetKey(ctx, &controlv1.GetKeyRequest{Key: k.name})
		if connect.CodeOf(err) == connect.CodeNotFound {
			got, err = d.makeKey(ctx, client, k)
		}
		if err != nil {
			return err
		}
		d.ids.keys[k.name] = got.GetKey().GetId()
		if k.rotated && got.GetKey().GetRotateTime() == nil {
			if err := d.rotate(ctx, client, k.name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Data) makeKey(ctx context.Context, client controlv1connect.KeyServiceClient, k key) (*controlv1.GetKeyResponse, error) {
	req := &controlv1.CreateKeyRequest{Name: k.name, Team: k.team, Description: k.about, Endpoints: k.endpoints, Tags: k.tags, Blocked: k.blocked, NoDefaults: true}
	if k.expires > 0 {
		req.ExpireTime = timestamppb.New(d.end.Add(k.expires))
	}
	made, err := client.CreateKey(ctx, req)
	if err != nil {
		return nil, err
	}
	d.o.Kept.Keys[k.name] = made.GetSecret()
	return &controlv1.GetKeyResponse{Key: made.GetKey()}, d.o.Kept.save()
}

// rotate gives a key a new secret beside the old one, which some callers still use.
func (d *Data) rotate(ctx context.Context, client controlv1connect.KeyServiceClient, name string) error {
	res, err := client.RotateKey(ctx, &controlv1.RotateKeyRequest{Key: name, Overlap: durationpb.New(24 * time.Hour)})
	if err != nil {
		return err
	}
	if old, ok := d.o.Kept.Keys[name]; ok {
		d.o.Kept.OldKeys[name] = old
	}
	d.o.Kept.Keys[name] = res.GetSecret()
	return d.o.Kept.save()
}
