package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/declare"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
	"tollgate/internal/id"
)

// applyWithin bounds what is done with files.
const applyWithin = 5 * time.Minute

// planKept is how long a plan can be applied.
const planKept = time.Hour

type configService struct {
	controlv1connect.UnimplementedConfigServiceHandler

	store    *store.Store
	vault    Vault
	ledger   *Ledger
	services configServices
}

func (s *configService) Plan(ctx context.Context, req *controlv1.PlanRequest) (*controlv1.PlanResponse, error) {
	in, err := readConfiguration(req.GetInput())
	if err != nil {
		return nil, err
	}
	out, err := s.try(ctx, in)
	if err != nil {
		return nil, err
	}
	res := &controlv1.PlanResponse{Notes: out.notes, Owner: in.doc.Owner, Changes: out.shown(req.GetShowUnchanged())}
	st, err := s.store.State(ctx)
	if err != nil {
		return nil, err
	}
	res.Revision = st.Current.Revision
	if out.anything() {
		if res.PlanId, err = s.keep(ctx, req.GetInput(), out); err != nil {
			return nil, err
		}
	}
	s.effects(ctx, out)
	return res, nil
}

// try carries a configuration out and takes it all back.
func (s *configService) try(ctx context.Context, in *configuration) (out *outcome, err error) {
	err = s.store.Together(in.origin(ctx), actor(ctx), true, func(ctx context.Context) (err error) {
		out, err = s.carryOut(ctx, in)
		return err
	})
	return out, err
}

// keep stores what a plan is made from, which may hold secrets, and what it does.
func (s *configService) keep(ctx context.Context, in *controlv1.ConfigInput, out *outcome) (string, error) {
	digest, err := out.digest()
	if err != nil {
		return "", err
	}
	raw, err := proto.Marshal(in)
	if err != nil {
		return "", err
	}
	p := store.Plan{ID: id.New(id.Plan), Actor: actor(ctx), Digest: digest}
	if p.Envelope, err = s.vault.Encrypt(p.ID, string(raw)); err != nil {
		return "", err
	}
	return p.ID, s.store.KeepPlan(ctx, p, planKept)
}

func (s *configService) Apply(ctx context.Context, req *controlv1.ApplyRequest) (*controlv1.ApplyResponse, error) {
	input, planned, err := s.planned(ctx, req)
	if err != nil {
		return nil, err
	}
	in, err := readConfiguration(input)
	if err != nil {
		return nil, err
	}
	var out *outcome
	err = s.store.Together(in.origin(ctx), actor(ctx), false, func(ctx context.Context) (err error) {
		if out, err = s.carryOut(ctx, in); err != nil || planned == nil {
			return err
		}
		digest, err := out.digest()
		if err != nil {
			return err
		}
		if !bytes.Equal(digest, planned.Digest) {
			return fault.New(fault.StaleETag, "The configuration changed since the plan was made, so that it would do something else now.").
				WithHint("Make a new plan, and look at what it does.")
		}
		return s.store.DropPlan(ctx, planned.ID)
	})
	if err != nil {
		return nil, err
	}
	st, err := s.store.State(ctx)
	if err != nil {
		return nil, err
	}
	s.effects(ctx, out)
	return &controlv1.ApplyResponse{Changes: out.shown(false), Notes: out.notes, Revision: st.Current.Revision, KeySecrets: out.keys}, nil
}

// planned is what to apply: files, or a plan and its files.
func (s *configService) planned(ctx context.Context, req *controlv1.ApplyRequest) (*controlv1.ConfigInput, *store.Plan, error) {
	if req.GetPlanId() == "" {
		return req.GetInput(), nil, nil
	}
	p, err := s.store.Plan(ctx, req.GetPlanId())
	if absent(err) || err == nil && p.Actor != actor(ctx) {
		return nil, nil, fault.New(fault.ObjectNotFound, "There is no plan %q of yours: plans are kept for an hour, and applied once.", req.GetPlanId()).WithHint("Make a new plan.")
	}
	if err != nil {
		return nil, nil, err
	}
	raw, err := s.vault.Open(p.ID, p.Envelope)
	if err != nil {
		return nil, nil, err
	}
	in := &controlv1.ConfigInput{}
	return in, &p, proto.Unmarshal(raw, in)
}

// shown are the changes that are answered with.
func (o *outcome) shown(unchanged bool) (out []*controlv1.ConfigChange) {
	for _, c := range o.changes {
		if unchanged || c.GetChange() != controlv1.ChangeKind_CHANGE_KIND_NONE {
			out = append(out, c)
		}
	}
	return out
}

func (s *configService) Release(ctx context.Context, req *controlv1.ReleaseRequest) (*controlv1.ReleaseResponse, error) {
	n, err := s.store.Release(ctx, actor(ctx), req.GetOwner())
	if err != nil {
		return nil, err
	}
	return &controlv1.ReleaseResponse{Objects: int32(n)}, nil
}

func (s *configService) ListDrift(ctx context.Context, req *controlv1.ListDriftRequest) (*controlv1.ListDriftResponse, error) {
	owned, err := s.store.Owned(ctx, req.GetOwner())
	if err != nil {
		return nil, err
	}
	there := map[declare.Kind]map[string]proto.Message{}
	out := &controlv1.ListDriftResponse{}
	for _, o := range owned {
		k := declare.Kind(o.Kind)
		if k.Rank() < 0 || !allowed(ctx, readPermission(k)) {
			continue
		}
		if there[k] == nil {
			all, err := listAll(ctx, s.services.kind(k))
			if err != nil {
				return nil, err
			}
			there[k] = map[string]proto.Message{}
			for _, m := range all {
				there[k][objectID(k, m)] = m
			}
		}
		d, err := s.drift(ctx, &o, there[k][o.ID])
		if err != nil {
			return nil, err
		}
		if d != nil {
			out.Drift = append(out.Drift, d)
		}
	}
	return out, nil
}

// drift is how an object differs from what its file said; nil if it does not.
func (s *configService) drift(ctx context.Context, o *store.Owned, now proto.Message) (*controlv1.Drift, error) {
	k := declare.Kind(o.Kind)
	key, _ := now.(*controlv1.Key)
	d := &controlv1.Drift{Owner: o.Owner, Kind: o.Kind, Name: o.Name, Deleted: now == nil || key.GetRevokeTime() != nil}
	if !d.GetDeleted() {
		if !drifted(k, o.Settings, configForm(k, now)) {
			return nil, nil
		}
		d.Fields = fieldChanges(appliedObject(k, o.Name, o.Settings), &declare.Object{Kind: k, Name: o.Name, Message: configForm(k, now)})
	}
	last, err := s.store.LastChange(ctx, o.Kind, o.ID)
	if err != nil {
		return nil, err
	}
	d.Actor, d.Time = last.Actor, timeTo(last.Time)
	return d, nil
}

func appliedObject(k declare.Kind, name string, settings json.RawMessage) *declare.Object {
	m := k.New()
	if err := protojson.Unmarshal(settings, m); err != nil {
		return nil
	}
	return &declare.Object{Kind: k, Name: name, Message: configNormal(k)(m)}
}
