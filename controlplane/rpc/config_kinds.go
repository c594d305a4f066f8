package rpc

import (
	"context"
	"slices"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/access"
	"tollgate/controlplane/declare"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

// configServices are what files are applied through: the handlers that answer every other call, so that files can do no more and
// no less than these.
type configServices struct {
	secrets   controlv1connect.SecretServiceHandler
	adapters  controlv1connect.AdapterServiceHandler
	models    controlv1connect.ModelServiceHandler
	endpoints controlv1connect.EndpointServiceHandler
	teams     controlv1connect.TeamServiceHandler
	customers controlv1connect.CustomerServiceHandler
	tags      controlv1connect.TagServiceHandler
	keys      controlv1connect.KeyServiceHandler
	budgets   controlv1connect.BudgetServiceHandler
	limits    controlv1connect.LimitServiceHandler
	prices    controlv1connect.PriceBookServiceHandler
	settings  controlv1connect.SettingsServiceHandler
}

// call validates a request as the interceptor does, and makes it.
func call[Req, Res any](ctx context.Context, f func(context.Context, *Req) (*Res, error), req *Req) (*Res, error) {
	if m, ok := any(req).(proto.Message); ok {
		if err := (masking{protovalidate.GlobalValidator}).Validate(m); err != nil {
			return nil, err
		}
	}
	return f(ctx, req)
}

// configKind is how objects of a kind are read and written.
type configKind struct {
	permission controlv1.Permission
	list       func(ctx context.Context, token string) ([]proto.Message, string, error)
	get        func(ctx context.Context, name string) (proto.Message, error) // nil where only a list tells
	create     func(ctx context.Context, w *wanted) (proto.Message, error)
	update     func(ctx context.Context, w *wanted, now proto.Message) (proto.Message, error)
	remove     func(ctx context.Context, name string) error
}

// page makes messages of one page of a list.
func page[T proto.Message](all []T, next string) ([]proto.Message, string, error) {
	out := make([]proto.Message, len(all))
	for i, one := range all {
		out[i] = one
	}
	return out, next, nil
}

const configPage = 1000

func (s *configServices) kind(k declare.Kind) configKind {
	switch k {
	case declare.Secret:
		return s.secretKind()
	case declare.Adapter:
		return s.adapterKind()
	case declare.Model:
		return s.modelKind()
	case declare.Endpoint:
		return s.endpointKind()
	case declare.Team:
		return s.teamKind()
	case declare.Customer:
		return s.customerKind()
	case declare.Tag:
		return s.tagKind()
	case declare.Key:
		return s.keyKind()
	case declare.Budget:
		return s.budgetKind()
	case declare.Limit:
		return s.limitKind()
	case declare.Price:
		return s.priceKind()
	default:
		return s.settingsKind()
	}
}

func (s *configServices) adapterKind() configKind {
	return configKind{
		permission: access.ConfigWrite,
		list: func(ctx context.Context, token string) ([]proto.Message, string, error) {
			res, err := s.adapters.ListAdapters(ctx, &controlv1.ListAdaptersRequest{PageSize: configPage, PageToken: token})
			if err != nil {
				return nil, "", err
			}
			return page(res.GetAdapters(), res.GetNextPageToken())
		},
		get: func(ctx context.Context, name string) (proto.Message, error) {
			res, err := s.adapters.GetAdapter(ctx, &controlv1.GetAdapterRequest{Adapter: name})
			return res.GetAdapter(), err
		},
		create: func(ctx context.Context, w *wanted) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Adapter)
			res, err := call(ctx, s.adapters.CreateAdapter, &controlv1.CreateAdapterRequest{Adapter: m})
			return res.GetAdapter(), err
		},
		update: func(ctx context.Context, w *wanted, now proto.Message) (proto.Message, error) {
			m, _ := proto.Clone(w.Message).(*controlv1.Adapter)
			m.Id = objectIDOf(now)
			res, err := call(ctx, s.adapters.UpdateAdapter, &controlv1.UpdateAdapterRequest{Adapter: m})
			return res.GetAdapter(), err
		},
		remove: func(ctx context.Context, name string) error {
			_, err := s.adapters.DeleteAdapter(ctx, &controlv1.DeleteAdapterRequest{Adapter: name})
			return err
		},
	}
}

func (s *configServices) modelKind() configKind {
	return configKind{
		permission: access.ConfigWrite,
		list: func(ctx context.Context, token string) ([]proto.Message, string, error) {
			res, err := s.models.ListModels(ctx, &controlv1.ListModelsRequest{PageSize: configPage, PageToken: token})
			if err != nil {
				return nil, "", err
			}
			return page(res.GetModels(), res.GetNextPageToken())
		},
		get: func(ctx context.Context, name string) (proto.Message, error) {
			res, err := s.models.GetModel(ctx, &controlv1.GetModelRequest{Model: name})
			return res.GetModel(), err
		},
		create: func(ctx context.Context, w *wanted) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Model)
			res, err := call(ctx, s.models.CreateModel, &controlv1.CreateModelRequest{Model: m})
			return res.GetModel(), err
		},
		update: func(ctx context.Context, w *wanted, now proto.Message) (proto.Message, error) {
			m, _ := proto.Clone(w.Message).(*controlv1.Model)
			m.Id = objectIDOf(now)
			res, err := call(ctx, s.models.UpdateModel, &controlv1.UpdateModelRequest{Model: m})
			return res.GetModel(), err
		},
		remove: func(ctx context.Context, name string) error {
			_, err := s.models.DeleteModel(ctx, &controlv1.DeleteModelRequest{Model: name})
			return err
		},
	}
}

func (s *configServices) endpointKind() configKind {
	return configKind{
		permission: access.ConfigWrite,
		list: func(ctx context.Context, token string) ([]proto.Message, string, error) {
			res, err := s.endpoints.ListEndpoints(ctx, &controlv1.ListEndpointsRequest{PageSize: configPage, PageToken: token})
			if err != nil {
				return nil, "", err
			}
			return page(res.GetEndpoints(), res.GetNextPageToken())
		},
		get: func(ctx context.Context, name string) (proto.Message, error) {
			res, err := s.endpoints.GetEndpoint(ctx, &controlv1.GetEndpointRequest{Endpoint: name})
			return res.GetEndpoint(), err
		},
		create: func(ctx context.Context, w *wanted) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Endpoint)
			res, err := call(ctx, s.endpoints.CreateEndpoint, &controlv1.CreateEndpointRequest{Endpoint: m})
			return res.GetEndpoint(), err
		},
		update: func(ctx context.Context, w *wanted, now proto.Message) (proto.Message, error) {
			m, _ := proto.Clone(w.Message).(*controlv1.Endpoint)
			was, _ := now.(*controlv1.Endpoint)
			m.Id, m.Disabled = was.GetId(), was.GetDisabled()
			res, err := call(ctx, s.endpoints.UpdateEndpoint, &controlv1.UpdateEndpointRequest{Endpoint: m})
			if asked, _ := w.Message.(*controlv1.Endpoint); err == nil && asked.GetDisabled() != was.GetDisabled() {
				set, err := call(ctx, s.endpoints.SetEndpointEnabled, &controlv1.SetEndpointEnabledRequest{Endpoint: was.GetId(), Enabled: !asked.GetDisabled()})
				return set.GetEndpoint(), err
			}
			return res.GetEndpoint(), err
		},
		remove: func(ctx context.Context, name string) error {
			_, err := s.endpoints.DeleteEndpoint(ctx, &controlv1.DeleteEndpointRequest{Endpoint: name})
			return err
		},
	}
}

func (s *configServices) priceKind() configKind {
	set := func(ctx context.Context, w *wanted) (proto.Message, error) {
		m, _ := w.Message.(*controlv1.BookRow)
		res, err := call(ctx, s.prices.SetModelPrice, &controlv1.SetModelPriceRequest{List: m.GetList(), Price: m.GetPrice()})
		return res.GetRow(), err
	}
	return configKind{
		permission: access.ConfigWrite,
		list: func(ctx context.Context, token string) ([]proto.Message, string, error) {
			res, err := s.prices.ListModelPrices(ctx, &controlv1.ListModelPricesRequest{Overrides: true, PageSize: configPage, PageToken: token})
			if err != nil {
				return nil, "", err
			}
			return page(res.GetRows(), res.GetNextPageToken())
		},
		create: set,
		update: func(ctx context.Context, w *wanted, _ proto.Message) (proto.Message, error) { return set(ctx, w) },
		remove: func(ctx context.Context, name string) error {
			list, model := cutName(name)
			_, err := s.prices.DeleteModelPrice(ctx, &controlv1.DeleteModelPriceRequest{List: list, Model: model})
			return err
		},
	}
}

func (s *configServices) settingsKind() configKind {
	update := func(ctx context.Context, w *wanted, _ proto.Message) (proto.Message, error) {
		m, _ := w.Message.(*controlv1.Settings)
		res, err := call(ctx, s.settings.UpdateSettings, &controlv1.UpdateSettingsRequest{Settings: m, UpdateMask: &fieldmaskpb.FieldMask{Paths: w.Given}})
		return res.GetSettings(), err
	}
	return configKind{
		permission: access.SettingsWrite,
		get: func(ctx context.Context, _ string) (proto.Message, error) {
			res, err := s.settings.GetSettings(ctx, &controlv1.GetSettingsRequest{})
			return res.GetSettings(), err
		},
		update: update,
		create: func(ctx context.Context, w *wanted) (proto.Message, error) { return update(ctx, w, nil) },
		remove: func(context.Context, string) error { return nil }, // they stay as they are, and nobody owns them
	}
}

// objectID is the id by which the audit names an object.
func objectID(k declare.Kind, m proto.Message) string {
	switch k {
	case declare.Customer, declare.Tag, declare.Price:
		return declare.NameOf(k, m)
	case declare.Settings:
		return registry.SettingsID
	default:
		return objectIDOf(m)
	}
}

func objectIDOf(m proto.Message) string {
	r := m.ProtoReflect()
	return r.Get(r.Descriptor().Fields().ByName("id")).String()
}

// configForm is an object as files say it: without what the server sets.
func configForm(k declare.Kind, m proto.Message) proto.Message {
	if s, ok := m.(*controlv1.Secret); ok {
		return &controlv1.CreateSecretRequest{Name: s.GetName(), Description: s.GetDescription(), Reference: s.GetReference()}
	}
	out := proto.Clone(m)
	declare.Strip(out)
	return configNormal(k)(out)
}

// configNormal is the form in which two objects of a kind are compared: as the server would store them.
func configNormal(k declare.Kind) declare.Normal {
	return func(m proto.Message) proto.Message {
		var out proto.Message
		switch v := m.(type) {
		case *controlv1.Endpoint:
			v = proto.CloneOf(v)
			e := endpointFrom(v, &registry.Problems{})
			e.Normalize()
			out = endpointTo(&e)
		case *controlv1.Adapter:
			a := adapterFrom(proto.CloneOf(v), &registry.Problems{})
			a.Normalize()
			out = adapterTo(&a)
		case *controlv1.Model:
			model := modelFrom(proto.CloneOf(v), &registry.Problems{})
			model.Normalize()
			out = modelTo(&model)
		case *controlv1.Settings:
			var settings registry.Settings
			settingsFrom(&settings, proto.CloneOf(v), &registry.Problems{})
			out = settingsTo(&settings)
		default:
			out = proto.Clone(m)
		}
		declare.Strip(out)
		settle(out)
		return out
	}
}

// settle gives one form to what has several.
func settle(m proto.Message) {
	switch v := m.(type) {
	case *controlv1.Key:
		k := registry.Key{Charged: registry.Charged{Tags: v.GetTags()}, Models: v.GetModels(), Methods: v.GetMethods(), Networks: v.GetNetworks()}
		k.Normalize()
		v.Tags, v.Models, v.Methods, v.Networks = k.Tags, k.Models, k.Methods, k.Networks
		slices.Sort(v.GetEndpoints())
		v.Metadata = orNothing(v.GetMetadata())
		if v.GetExpireTime() != nil {
			v.ExpireTime = timestamppb.New(v.GetExpireTime().AsTime().Truncate(time.Microsecond))
		}
	case *controlv1.Team:
		slices.Sort(v.GetEndpoints())
		slices.Sort(v.GetModels())
		v.Metadata = orNothing(v.GetMetadata())
	case *controlv1.Customer:
		v.Metadata = orNothing(v.GetMetadata())
	case *controlv1.Budget:
		slices.Sort(v.GetWarnPercents())
		v.Opening = nil // a file may say it of a budget that is made, and of no other
		if v.GetEnforcement() == controlv1.Enforcement_ENFORCEMENT_UNSPECIFIED {
			v.Enforcement = controlv1.Enforcement_ENFORCEMENT_HARD
		}
	case *controlv1.Limit:
		if v.GetFallback() == controlv1.LimitFallback_LIMIT_FALLBACK_UNSPECIFIED {
			v.Fallback = controlv1.LimitFallback_LIMIT_FALLBACK_SHARE
		}
	case *controlv1.BookRow:
		for _, r := range v.GetPrice().GetRates() {
			if r.GetPer() == 1 {
				r.Per = 0
			}
			if strings.Contains(r.GetPrice(), ".") {
				r.Price = strings.TrimSuffix(strings.TrimRight(r.GetPrice(), "0"), ".")
			}
		}
	}
}

func orNothing(s *structpb.Struct) *structpb.Struct {
	if len(s.GetFields()) == 0 {
		return nil
	}
	return s
}

// changedFields are the names of the top fields in which two objects differ.
func changedFields(a, b proto.Message) (out []string) {
	x, y := a.ProtoReflect(), b.ProtoReflect()
	fields := x.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if x.Has(fd) != y.Has(fd) || !sameValue(x, y, fd) {
			out = append(out, string(fd.Name()))
		}
	}
	return out
}

func sameValue(x, y protoreflect.Message, fd protoreflect.FieldDescriptor) bool {
	one, other := x.New(), y.New()
	if x.Has(fd) {
		one.Set(fd, x.Get(fd))
	}
	if y.Has(fd) {
		other.Set(fd, y.Get(fd))
	}
	return proto.Equal(one.Interface(), other.Interface())
}

// forbidChange refuses what cannot be changed of an object that is there.
func forbidChange(k declare.Kind, name string, fields, fixed []string) error {
	p := problems("")
	for _, f := range fields {
		if slices.Contains(fixed, f) {
			p.Add(f, registry.Forbidden, "The %s of the %s %s cannot be changed: what was counted would mean something else. Give it another name, or delete it first.", f, k, name)
		}
	}
	return p.Err("the " + string(k))
}

// absent says whether an error is that something is not there.
func absent(err error) bool {
	f, ok := asFault(err)
	return ok && f.Code == fault.ObjectNotFound
}

func newConfigService(d Deps) *configService {
	return &configService{store: d.Store, vault: d.Vault, ledger: d.Ledger, services: configServices{
		secrets: &secretService{store: d.Store, vault: d.Vault, fleet: d.Fleet}, adapters: &adapterService{d.Store}, models: &modelService{d.Store},
		endpoints: &endpointService{store: d.Store}, teams: &teamService{store: d.Store}, customers: &customerService{store: d.Store},
		tags: &tagService{store: d.Store}, keys: &keyService{store: d.Store}, budgets: &budgetService{d.Store, d.Ledger},
		limits: &limitService{d.Store}, prices: &priceBookService{d.Store}, settings: &settingsService{store: d.Store},
	}}
}
