package rpc

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"

	"tollgate/controlplane/access"
	"tollgate/controlplane/declare"
	"tollgate/controlplane/registry"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// What is here says who calls and what they may spend: secrets, teams, customers, tags, keys, budgets and limits.

func cutName(name string) (list, model string) {
	list, model, _ = strings.Cut(name, "/")
	return list, model
}

func (s *configServices) secretKind() configKind {
	return configKind{
		permission: access.SecretsWrite,
		list: func(ctx context.Context, token string) ([]proto.Message, string, error) {
			res, err := s.secrets.ListSecrets(ctx, &controlv1.ListSecretsRequest{PageSize: configPage, PageToken: token})
			if err != nil {
				return nil, "", err
			}
			return page(res.GetSecrets(), res.GetNextPageToken())
		},
		get: func(ctx context.Context, name string) (proto.Message, error) {
			res, err := s.secrets.GetSecret(ctx, &controlv1.GetSecretRequest{Secret: name})
			return res.GetSecret(), err
		},
		create: func(ctx context.Context, w *wanted) (proto.Message, error) {
			m, _ := proto.Clone(w.Message).(*controlv1.CreateSecretRequest)
			if m.GetReference() == "" && w.value == nil {
				p := problems("")
				if w.From == "" {
					p.Add("value", registry.Required, "The server has no secret %s: say with from where its value is.", w.Name)
				} else {
					p.Add("value", registry.Required, "No value was sent for the secret %s: %s is not there where the file is applied.", w.Name, w.From)
				}
				return nil, p.Err("the secret")
			}
			if w.value != nil {
				m.Value = *w.value
			}
			res, err := call(ctx, s.secrets.CreateSecret, m)
			return res.GetSecret(), err
		},
		update: func(ctx context.Context, w *wanted, now proto.Message) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.CreateSecretRequest)
			was, _ := now.(*controlv1.Secret)
			out := was
			if w.value != nil && w.rotate {
				res, err := call(ctx, s.secrets.RotateSecret, &controlv1.RotateSecretRequest{Secret: was.GetId(), Value: *w.value})
				if err != nil {
					return nil, err
				}
				out = res.GetSecret()
			}
			req := &controlv1.UpdateSecretRequest{Secret: was.GetId()}
			if m.GetDescription() != was.GetDescription() {
				req.Description = &m.Description
			}
			if m.GetReference() != "" && m.GetReference() != was.GetReference() {
				req.Reference = &m.Reference
			}
			if req.Description == nil && req.Reference == nil {
				return out, nil
			}
			res, err := call(ctx, s.secrets.UpdateSecret, req)
			return res.GetSecret(), err
		},
		remove: func(ctx context.Context, name string) error {
			_, err := s.secrets.DeleteSecret(ctx, &controlv1.DeleteSecretRequest{Secret: name})
			return err
		},
	}
}

func (s *configServices) teamKind() configKind {
	update := func(ctx context.Context, m *controlv1.Team, fields []string) (proto.Message, error) {
		res, err := call(ctx, s.teams.UpdateTeam, &controlv1.UpdateTeamRequest{
			Team: m.GetName(), Description: m.GetDescription(), Endpoints: m.GetEndpoints(), Restricted: m.GetRestricted(), Models: m.GetModels(),
			Metadata: m.GetMetadata(), Blocked: m.GetBlocked(), UpdateMask: &fieldmaskpb.FieldMask{Paths: fields},
		})
		return res.GetTeam(), err
	}
	return configKind{
		permission: access.KeysWrite,
		list: func(ctx context.Context, token string) ([]proto.Message, string, error) {
			res, err := s.teams.ListTeams(ctx, &controlv1.ListTeamsRequest{PageSize: configPage, PageToken: token})
			if err != nil {
				return nil, "", err
			}
			return page(res.GetTeams(), res.GetNextPageToken())
		},
		get: func(ctx context.Context, name string) (proto.Message, error) {
			res, err := s.teams.GetTeam(ctx, &controlv1.GetTeamRequest{Team: name})
			return res.GetTeam(), err
		},
		create: func(ctx context.Context, w *wanted) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Team)
			res, err := call(ctx, s.teams.CreateTeam, &controlv1.CreateTeamRequest{
				Name: m.GetName(), Description: m.GetDescription(), Endpoints: m.GetEndpoints(), Restricted: m.GetRestricted(),
				Models: m.GetModels(), Metadata: m.GetMetadata(),
			})
			if err != nil || !m.GetBlocked() {
				return res.GetTeam(), err
			}
			return update(ctx, m, []string{"blocked"})
		},
		update: func(ctx context.Context, w *wanted, now proto.Message) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Team)
			return update(ctx, m, w.changed(now))
		},
		remove: func(ctx context.Context, name string) error {
			_, err := s.teams.DeleteTeam(ctx, &controlv1.DeleteTeamRequest{Team: name})
			return err
		},
	}
}

func (s *configServices) customerKind() configKind {
	return configKind{
		permission: access.KeysWrite,
		list: func(ctx context.Context, token string) ([]proto.Message, string, error) {
			res, err := s.customers.ListCustomers(ctx, &controlv1.ListCustomersRequest{PageSize: configPage, PageToken: token})
			if err != nil {
				return nil, "", err
			}
			return page(res.GetCustomers(), res.GetNextPageToken())
		},
		get: func(ctx context.Context, name string) (proto.Message, error) {
			res, err := s.customers.GetCustomer(ctx, &controlv1.GetCustomerRequest{Customer: name})
			return res.GetCustomer(), err
		},
		create: func(ctx context.Context, w *wanted) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Customer)
			res, err := call(ctx, s.customers.CreateCustomer, &controlv1.CreateCustomerRequest{Customer: m})
			return res.GetCustomer(), err
		},
		update: func(ctx context.Context, w *wanted, _ proto.Message) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Customer)
			metadata := m.GetMetadata()
			if metadata == nil {
				metadata = &structpb.Struct{}
			}
			res, err := call(ctx, s.customers.UpdateCustomer, &controlv1.UpdateCustomerRequest{
				Customer: m.GetName(), DisplayName: &m.DisplayName, Blocked: &m.Blocked, Metadata: metadata,
			})
			return res.GetCustomer(), err
		},
		remove: func(ctx context.Context, name string) error {
			_, err := s.customers.DeleteCustomer(ctx, &controlv1.DeleteCustomerRequest{Customer: name})
			return err
		},
	}
}

func (s *configServices) tagKind() configKind {
	set := func(ctx context.Context, w *wanted) (proto.Message, error) {
		m, _ := w.Message.(*controlv1.Tag)
		res, err := call(ctx, s.tags.SetTag, &controlv1.SetTagRequest{Tag: m})
		return res.GetTag(), err
	}
	return configKind{
		permission: access.KeysWrite,
		list: func(ctx context.Context, token string) ([]proto.Message, string, error) {
			res, err := s.tags.ListTags(ctx, &controlv1.ListTagsRequest{PageSize: configPage, PageToken: token})
			if err != nil {
				return nil, "", err
			}
			return page(res.GetTags(), res.GetNextPageToken())
		},
		create: set,
		update: func(ctx context.Context, w *wanted, _ proto.Message) (proto.Message, error) { return set(ctx, w) },
		remove: func(ctx context.Context, name string) error {
			_, err := s.tags.DeleteTag(ctx, &controlv1.DeleteTagRequest{Tag: name})
			return err
		},
	}
}

func (s *configServices) keyKind() configKind {
	return configKind{
		permission: access.KeysWrite,
		list: func(ctx context.Context, token string) ([]proto.Message, string, error) {
			res, err := s.keys.ListKeys(ctx, &controlv1.ListKeysRequest{PageSize: configPage, PageToken: token})
			if err != nil {
				return nil, "", err
			}
			return page(res.GetKeys(), res.GetNextPageToken())
		},
		get: func(ctx context.Context, name string) (proto.Message, error) {
			res, err := s.keys.GetKey(ctx, &controlv1.GetKeyRequest{Key: name})
			return res.GetKey(), err
		},
		create: s.createKey,
		update: func(ctx context.Context, w *wanted, now proto.Message) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Key)
			return s.updateKey(ctx, m, now, w.changed(now))
		},
		remove: func(ctx context.Context, name string) error {
			_, err := s.keys.RevokeKey(ctx, &controlv1.RevokeKeyRequest{Key: name})
			return err
		},
	}
}

// createKey makes a key with what the file says and nothing else: files say everything.
func (s *configServices) createKey(ctx context.Context, w *wanted) (proto.Message, error) {
	m, _ := w.Message.(*controlv1.Key)
	res, err := call(ctx, s.keys.CreateKey, &controlv1.CreateKeyRequest{
		Name: m.GetName(), Endpoints: m.GetEndpoints(), ExpireTime: m.GetExpireTime(), SecretSha256: w.SHA256, Team: m.GetTeam(),
		Customer: m.GetCustomer(), Tags: m.GetTags(), Models: m.GetModels(), Description: m.GetDescription(), Methods: m.GetMethods(),
		Networks: m.GetNetworks(), Metadata: m.GetMetadata(), NoDefaults: true, Blocked: m.GetBlocked(),
	})
	if err != nil {
		return nil, err
	}
	w.secret = res.GetSecret()
	if m.GetRestricted() && len(m.GetEndpoints()) == 0 {
		return s.updateKey(ctx, m, res.GetKey(), []string{"restricted"})
	}
	return res.GetKey(), nil
}

func (s *configServices) updateKey(ctx context.Context, m *controlv1.Key, now proto.Message, fields []string) (proto.Message, error) {
	was, _ := now.(*controlv1.Key)
	out := was
	var paths []string
	for _, f := range fields {
		if f != "blocked" {
			paths = append(paths, f)
		}
	}
	if len(paths) > 0 {
		if m.GetRestricted() && len(m.GetEndpoints()) == 0 {
			paths = append(paths, "endpoints")
		}
		res, err := call(ctx, s.keys.UpdateKey, &controlv1.UpdateKeyRequest{
			Key: was.GetId(), Team: m.GetTeam(), Customer: m.GetCustomer(), Tags: m.GetTags(), Models: &controlv1.ModelAccess{Names: m.GetModels()},
			Endpoints: m.GetEndpoints(), Restricted: m.GetRestricted(), ExpireTime: m.GetExpireTime(), Description: m.GetDescription(),
			Methods: m.GetMethods(), Networks: m.GetNetworks(), Metadata: m.GetMetadata(), UpdateMask: &fieldmaskpb.FieldMask{Paths: unique(paths)},
		})
		if err != nil {
			return nil, err
		}
		out = res.GetKey()
	}
	if m.GetBlocked() != was.GetBlocked() {
		res, err := call(ctx, s.keys.BlockKey, &controlv1.BlockKeyRequest{Key: was.GetId(), Blocked: m.GetBlocked()})
		return res.GetKey(), err
	}
	return out, nil
}

func (s *configServices) budgetKind() configKind {
	fixed := []string{"key", "endpoint", "everything", "team", "customer", "tag", "period", "rolling_days", "time_zone"}
	return configKind{
		permission: access.MoneyWrite,
		list: func(ctx context.Context, token string) ([]proto.Message, string, error) {
			res, err := s.budgets.ListBudgets(ctx, &controlv1.ListBudgetsRequest{PageSize: configPage, PageToken: token})
			if err != nil {
				return nil, "", err
			}
			return page(res.GetBudgets(), res.GetNextPageToken())
		},
		get: func(ctx context.Context, name string) (proto.Message, error) {
			res, err := s.budgets.GetBudget(ctx, &controlv1.GetBudgetRequest{Budget: name})
			return res.GetBudget(), err
		},
		create: func(ctx context.Context, w *wanted) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Budget)
			res, err := call(ctx, s.budgets.CreateBudget, &controlv1.CreateBudgetRequest{Budget: m})
			return res.GetBudget(), err
		},
		update: func(ctx context.Context, w *wanted, now proto.Message) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Budget)
			if err := forbidChange(declare.Budget, m.GetName(), w.changed(now), fixed); err != nil {
				return nil, err
			}
			req := &controlv1.UpdateBudgetRequest{
				Budget: objectIDOf(now), Amount: m.GetAmount(), Enforcement: m.GetEnforcement(),
				WarnPercents: &controlv1.UpdateBudgetRequest_WarnPercents{Percents: m.GetWarnPercents()},
			}
			if m.GetEnforcement() == controlv1.Enforcement_ENFORCEMENT_SOFT {
				req.Overdraft = &controlv1.UpdateBudgetRequest_Overdraft{Amount: m.GetOverdraft()}
			} else if m.GetOverdraft() != nil {
				req.Overdraft = &controlv1.UpdateBudgetRequest_Overdraft{Amount: m.GetOverdraft()} // refused, with the reason
			}
			res, err := call(ctx, s.budgets.UpdateBudget, req)
			return res.GetBudget(), err
		},
		remove: func(ctx context.Context, name string) error {
			_, err := s.budgets.DeleteBudget(ctx, &controlv1.DeleteBudgetRequest{Budget: name})
			return err
		},
	}
}

func (s *configServices) limitKind() configKind {
	fixed := []string{"key", "endpoint", "everything", "team", "customer", "tag", "kind"}
	return configKind{
		permission: access.MoneyWrite,
		list: func(ctx context.Context, token string) ([]proto.Message, string, error) {
			res, err := s.limits.ListLimits(ctx, &controlv1.ListLimitsRequest{PageSize: configPage, PageToken: token})
			if err != nil {
				return nil, "", err
			}
			return page(res.GetLimits(), res.GetNextPageToken())
		},
		get: func(ctx context.Context, name string) (proto.Message, error) {
			res, err := s.limits.GetLimit(ctx, &controlv1.GetLimitRequest{Limit: name})
			return res.GetLimit(), err
		},
		create: func(ctx context.Context, w *wanted) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Limit)
			res, err := call(ctx, s.limits.CreateLimit, &controlv1.CreateLimitRequest{Limit: m})
			return res.GetLimit(), err
		},
		update: func(ctx context.Context, w *wanted, now proto.Message) (proto.Message, error) {
			m, _ := w.Message.(*controlv1.Limit)
			if err := forbidChange(declare.Limit, m.GetName(), w.changed(now), fixed); err != nil {
				return nil, err
			}
			res, err := call(ctx, s.limits.UpdateLimit, &controlv1.UpdateLimitRequest{
				Limit: objectIDOf(now), Amount: &m.Amount, Burst: &m.Burst, Fallback: m.GetFallback(),
			})
			return res.GetLimit(), err
		},
		remove: func(ctx context.Context, name string) error {
			_, err := s.limits.DeleteLimit(ctx, &controlv1.DeleteLimitRequest{Limit: name})
			return err
		},
	}
}
