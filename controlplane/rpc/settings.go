package rpc

import (
	"context"
	"strings"

	"tollgate/controlplane/registry"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/contract"
	"tollgate/internal/period"
)

type settingsService struct {
	controlv1connect.UnimplementedSettingsServiceHandler

	store *store.Store
}

func (s *settingsService) GetSettings(ctx context.Context, _ *controlv1.GetSettingsRequest) (*controlv1.GetSettingsResponse, error) {
	v, err := s.store.Settings(ctx)
	if err != nil {
		return nil, err
	}
	return &controlv1.GetSettingsResponse{Settings: settingsTo(&v)}, nil
}

func (s *settingsService) UpdateSettings(ctx context.Context, req *controlv1.UpdateSettingsRequest) (*controlv1.UpdateSettingsResponse, error) {
	readOnly := []string{"etag", "revision", "update_time", "managed_by"}
	partial, paths := isPartial(req.GetUpdateMask()), req.GetUpdateMask().GetPaths()
	if partial {
		if err := checkMask(req.GetSettings().ProtoReflect().Descriptor(), paths, readOnly); err != nil {
			return nil, err
		}
	}
	v, err := s.store.UpdateSettings(ctx, actor(ctx), req.GetSettings().GetEtag(), func(v *registry.Settings, p *registry.Problems) {
		m := req.GetSettings()
		if partial {
			m = settingsTo(v)
			for _, path := range paths {
				take(m.ProtoReflect(), req.GetSettings().ProtoReflect(), strings.Split(path, "."))
			}
		}
		settingsFrom(v, m, p)
	}, problems("settings"))
	if err != nil {
		return nil, err
	}
	return &controlv1.UpdateSettingsResponse{Settings: settingsTo(&v)}, nil
}

func settingsTo(v *registry.Settings) *controlv1.Settings {
	return &controlv1.Settings{
		Name: v.Name, GatewayUrl: v.GatewayURL, TimeZone: v.Zone,
		Customers: &controlv1.CustomerSettings{
			Headers: v.Customers.Headers, BodyFields: v.Customers.Fields, Create: v.Customers.Create,
			Budget: defaultBudgetTo(v.Customers.Budget), Required: v.Customers.Required,
		},
		NewKeys: &controlv1.KeyDefaults{
			ExpireDays: v.NewKeys.ExpireDays, Budget: defaultBudgetTo(v.NewKeys.Budget), MostExpireDays: v.NewKeys.MostExpireDays,
		},
		Environment: v.Environment, EnvironmentColor: v.EnvironmentColor,
		Etag: v.ETag(), Revision: v.Revision, UpdateTime: timeTo(v.Updated), ManagedBy: v.ManagedBy,
	}
}

// settingsFrom reads what a caller can set.
func settingsFrom(v *registry.Settings, m *controlv1.Settings, p *registry.Problems) {
	v.Name, v.GatewayURL, v.Zone = m.GetName(), m.GetGatewayUrl(), m.GetTimeZone()
	v.Environment, v.EnvironmentColor = m.GetEnvironment(), m.GetEnvironmentColor()
	c, k := m.GetCustomers(), m.GetNewKeys()
	v.Customers = registry.NewCustomers{
		Headers: c.GetHeaders(), Fields: c.GetBodyFields(), Create: c.GetCreate(), Required: c.GetRequired(),
		Budget: defaultBudgetFrom(c.GetBudget(), p.Under("customers").Under("budget")),
	}
	v.NewKeys = registry.NewKeys{
		ExpireDays: k.GetExpireDays(), MostExpireDays: k.GetMostExpireDays(),
		Budget: defaultBudgetFrom(k.GetBudget(), p.Under("new_keys").Under("budget")),
	}
}

func defaultBudgetTo(d *registry.DefaultBudget) *controlv1.DefaultBudget {
	if d == nil {
		return nil
	}
	return &controlv1.DefaultBudget{
		Amount: contract.MoneyToProto(d.Amount), Period: controlv1.Period(d.Period), RollingDays: d.Days, Enforcement: enforcementTo(d.Soft),
	}
}

func defaultBudgetFrom(m *controlv1.DefaultBudget, p *registry.Problems) *registry.DefaultBudget {
	if m == nil {
		return nil
	}
	return &registry.DefaultBudget{
		Amount: amountFrom(m.GetAmount(), "amount", p), Period: period.Period(m.GetPeriod()), Days: m.GetRollingDays(),
		Soft: m.GetEnforcement() == controlv1.Enforcement_ENFORCEMENT_SOFT,
	}
}

func enforcementTo(soft bool) controlv1.Enforcement {
	if soft {
		return controlv1.Enforcement_ENFORCEMENT_SOFT
	}
	return controlv1.Enforcement_ENFORCEMENT_HARD
}
