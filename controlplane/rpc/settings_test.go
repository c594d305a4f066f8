package rpc_test

import (
	"errors"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

func (b *bundle) settings() controlv1connect.SettingsServiceClient {
	return controlv1connect.NewSettingsServiceClient(b.http, b.url, connect.WithInterceptors(withToken{}))
}

func dollars(units int64) *controlv1.DefaultBudget {
	return &controlv1.DefaultBudget{Amount: usd(units, 0), Period: controlv1.Period_PERIOD_DAY, Enforcement: controlv1.Enforcement_ENFORCEMENT_HARD}
}

// Guarantee: settings are what was written last; a mask changes what it names and nothing else, and clears what it names and does
// not set; two writers with the same etag do not undo one another.
func TestSettings(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	api := b.settings()
	first := must[*controlv1.GetSettingsResponse](t)(api.GetSettings(ctx, &controlv1.GetSettingsRequest{})).GetSettings()
	want := &controlv1.Settings{
		Name: "Staging", GatewayUrl: "https://gw.example.com", TimeZone: "Europe/Berlin",
		Customers: &controlv1.CustomerSettings{
			Headers: []string{"x-user"}, BodyFields: []string{"user", "metadata.user_id"}, Create: true, Budget: dollars(5), Required: true,
		},
		NewKeys: &controlv1.KeyDefaults{ExpireDays: 30, Budget: dollars(50), MostExpireDays: 90},
	}
	ask := proto.CloneOf(want)
	ask.Etag = first.GetEtag()
	got := must[*controlv1.UpdateSettingsResponse](t)(api.UpdateSettings(ctx, &controlv1.UpdateSettingsRequest{Settings: ask})).GetSettings()
	same := func(got *controlv1.Settings) {
		t.Helper()
		ignore := protocmp.IgnoreFields(&controlv1.Settings{}, "etag", "revision", "update_time")
		if diff := cmp.Diff(want, got, protocmp.Transform(), ignore); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	same(got)
	if dirty := b.dirty(); !slices.Equal(dirty, subjects("routes")) || got.GetRevision() == 0 || got.GetUpdateTime() == nil {
		t.Errorf("%v, dirty %v", got, dirty)
	}
	if _, err := api.UpdateSettings(ctx, &controlv1.UpdateSettingsRequest{Settings: ask}); failureOf(err).Reason != "stale_etag" {
		t.Errorf("second writer: %v", err)
	}
	change := &controlv1.UpdateSettingsRequest{
		Settings:   &controlv1.Settings{Name: "not named", Customers: &controlv1.CustomerSettings{BodyFields: []string{"end_user"}}},
		UpdateMask: mask("time_zone", "customers.body_fields", "customers.budget", "new_keys.budget"),
	}
	must[*controlv1.UpdateSettingsResponse](t)(api.UpdateSettings(ctx, change))
	want.TimeZone, want.Customers.BodyFields, want.Customers.Budget, want.NewKeys.Budget = "", []string{"end_user"}, nil, nil
	same(must[*controlv1.GetSettingsResponse](t)(api.GetSettings(ctx, &controlv1.GetSettingsRequest{})).GetSettings())
	var entries int
	if err := b.pool.QueryRow(ctx, `SELECT count(*) FROM control.audit WHERE kind = 'settings' AND before IS NOT NULL`).Scan(&entries); err != nil || entries != 2 {
		t.Errorf("%d entries in the audit, %v", entries, err)
	}
}

// Guarantee: settings that cannot be kept are refused with all that is wrong with them, and change nothing.
func TestSettingsThatAreWrong(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	api, before := b.settings(), b.dump()
	customers := func(c *controlv1.CustomerSettings) *controlv1.Settings { return &controlv1.Settings{Customers: c} }
	for _, c := range []struct {
		settings *controlv1.Settings
		mask     *fieldmaskpb.FieldMask
		want     []string
	}{
		{&controlv1.Settings{GatewayUrl: "gw", TimeZone: "Mars"}, nil, []string{"settings.gateway_url:invalid", "settings.time_zone:invalid"}},
		{&controlv1.Settings{GatewayUrl: "https://gw.example.com?a=1"}, nil, []string{"settings.gateway_url:invalid"}},
		{customers(&controlv1.CustomerSettings{Headers: []string{"Authorization"}}), nil, []string{"settings.customers.headers:forbidden"}},
		{customers(&controlv1.CustomerSettings{Headers: []string{"x-a", "X-A"}}), nil, []string{"settings.customers.headers:duplicate"}},
		{customers(&controlv1.CustomerSettings{Headers: []string{"x a"}}), nil, []string{"settings.customers.headers[0]:invalid"}},
		{customers(&controlv1.CustomerSettings{BodyFields: []string{"a..b"}}), nil, []string{"settings.customers.body_fields[0]:invalid"}},
		{customers(&controlv1.CustomerSettings{Budget: dollars(1)}), nil, []string{"settings.customers.budget:forbidden"}},
		{
			customers(&controlv1.CustomerSettings{Create: true, Budget: &controlv1.DefaultBudget{Amount: usd(-1, 0), Period: controlv1.Period_PERIOD_ROLLING}}),
			nil,
			[]string{"settings.customers.budget.amount:out_of_range", "settings.customers.budget.rolling_days:out_of_range"},
		},
		{&controlv1.Settings{NewKeys: &controlv1.KeyDefaults{MostExpireDays: 10}}, nil, []string{"settings.new_keys.expire_days:out_of_range"}},
		{&controlv1.Settings{NewKeys: &controlv1.KeyDefaults{Budget: &controlv1.DefaultBudget{Period: 4}}}, nil, []string{"settings.new_keys.budget.amount:required"}},
		{&controlv1.Settings{}, mask("name", "owner"), []string{"update_mask:mask_path"}},
		{nil, nil, []string{"settings:required"}},
	} {
		_, err := api.UpdateSettings(ctx, &controlv1.UpdateSettingsRequest{Settings: c.settings, UpdateMask: c.mask})
		if diff := cmp.Diff(failure{connect.CodeInvalidArgument, "invalid_argument", c.want}, failureOf(err)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.settings, diff)
		}
	}
	if b.dump() != before {
		t.Error("something was stored")
	}
}

// Guarantee: a change of settings by mask loses nothing of another that is made at the same time.
func TestSettingsOfTwoWriters(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), t.Context()
	api := b.settings()
	done := make(chan error, 2)
	for _, r := range []*controlv1.UpdateSettingsRequest{
		{Settings: &controlv1.Settings{Name: "prod"}, UpdateMask: mask("name")},
		{Settings: &controlv1.Settings{TimeZone: "Asia/Tokyo"}, UpdateMask: mask("time_zone")},
	} {
		go func() { _, err := api.UpdateSettings(ctx, r); done <- err }()
	}
	if err := errors.Join(<-done, <-done); err != nil {
		t.Fatal(err)
	}
	got := must[*controlv1.GetSettingsResponse](t)(api.GetSettings(ctx, &controlv1.GetSettingsRequest{})).GetSettings()
	if got.GetName() != "prod" || got.GetTimeZone() != "Asia/Tokyo" {
		t.Errorf("%v", got)
	}
}
