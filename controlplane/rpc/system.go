package rpc

import (
	"context"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tollgate/controlplane/fleet"
	"tollgate/controlplane/signin"
	"tollgate/controlplane/store"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
)

type systemService struct {
	controlv1connect.UnimplementedSystemServiceHandler

	store    *store.Store
	fleet    Nodes
	version  string
	gateway  func() string // where callers reach the edges, if the settings do not say; nil for nobody who knows
	changes  Changes
	ledger   *Ledger
	bus      func() bool // whether NATS is connected; nil if nobody knows
	people   *signin.Service
	stopping <-chan struct{}
}

// oldestClient is the oldest version of the command line that knows every answer of this API.
const oldestClient = "0.1.0"

// pulseWithin bounds the question whether the ledger is there: who asks how things stand does not want to wait for what does not answer.
const pulseWithin = 2 * time.Second

func (s *systemService) GetInfo(ctx context.Context, _ *controlv1.GetInfoRequest) (*controlv1.GetInfoResponse, error) {
	st, err := s.store.State(ctx)
	if err != nil {
		return nil, err
	}
	out := &controlv1.GetInfoResponse{Version: s.version, Epoch: st.Current.Epoch, Revision: st.Current.Revision}
	// A revision of another epoch cannot be compared with this one's.
	if st.Published.Epoch == st.Current.Epoch {
		out.PublishedRevision = st.Published.Revision
	}
	settings, err := s.store.Settings(ctx)
	if err != nil {
		return nil, err
	}
	out.Name, out.GatewayUrl, out.OldestClient = settings.Name, gatewayURL(settings, s.gateway), oldestClient
	out.Environment, out.EnvironmentColor = settings.Environment, settings.EnvironmentColor
	out.Commit, out.CommitTime, out.GoVersion = built()
	out.Nats = s.bus != nil && s.bus()
	if s.ledger != nil && s.ledger.accounts != nil {
		ctx, cancel := context.WithTimeout(ctx, pulseWithin)
		defer cancel()
		_, err := s.ledger.accountStates(ctx, 0) // no account has this number, and its books are looked at
		there := err == nil
		out.Ledger = &there
	}
	out.Time = timeTo(time.Now()) // last, as it is compared with when the answer comes
	return out, nil
}

// built tells what this binary was built from, as far as that is written in it.
func built() (commit string, at *timestamppb.Timestamp, goVersion string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", nil, ""
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.time":
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				at = timeTo(t)
			}
		}
	}
	return commit, at, info.GoVersion
}

func (s *systemService) GetSignInSettings(context.Context, *controlv1.GetSignInSettingsRequest) (*controlv1.GetSignInSettingsResponse, error) {
	about := s.people.About()
	out := &controlv1.GetSignInSettingsResponse{BaseUrl: about.BaseURL, SessionIdle: durationpb.New(about.Idle), SessionTotal: durationpb.New(about.Total)}
	if o := about.OIDC; o.Issuer != "" {
		out.SingleSignOn = &controlv1.SingleSignOn{
			Name: o.Name, Issuer: o.Issuer, ClientId: o.ClientID, RedirectUrl: about.Redirect, StartUrl: about.Start,
			Domains: o.Domains, RolesClaim: o.RolesClaim, Roles: o.Roles, DefaultRole: o.DefaultRole,
		}
	}
	return out, nil
}

func (s *systemService) GetRetention(ctx context.Context, _ *controlv1.GetRetentionRequest) (*controlv1.GetRetentionResponse, error) {
	if s.ledger == nil {
		return nil, noLedger()
	}
	got, err := s.ledger.retention(ctx)
	if err != nil {
		return nil, err
	}
	seconds := func(n int64) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Second) }
	return &controlv1.GetRetentionResponse{
		KeepRecords: got.GetKeepRecords(), Requests: seconds(got.GetRequestsSeconds()), Hours: seconds(got.GetHoursSeconds()), Days: seconds(got.GetDaysSeconds()),
		Leases: seconds(got.GetLeasesSeconds()), Anomalies: seconds(got.GetAnomaliesSeconds()), Incarnations: seconds(got.GetIncarnationsSeconds()),
	}, nil
}

func (s *systemService) ListNodes(ctx context.Context, _ *controlv1.ListNodesRequest) (*controlv1.ListNodesResponse, error) {
	st, err := s.store.State(ctx)
	if err != nil {
		return nil, err
	}
	out := &controlv1.ListNodesResponse{Revision: st.Current.Revision}
	for _, n := range s.fleet.Nodes(st.Current, time.Now()) {
		out.Nodes = append(out.Nodes, nodeTo(n))
	}
	return out, nil
}

func nodeTo(n fleet.Node) *controlv1.Node {
	m := &controlv1.Node{
		Id:           n.GetEdge(),
		Incarnation:  n.GetInc(),
		Status:       controlv1.NodeStatus(n.Status), // the numbers are the same
		Revision:     n.GetRevision(),
		Epoch:        n.GetEpoch(),
		Version:      n.GetVersion(),
		LastSeenTime: timeTo(n.LastSeen),
		SpoolEvents:  n.GetSpoolEvents(),
		SpoolAgeMs:   n.GetSpoolAgeMs(),
		MissingEnv:   n.GetMissingEnv(),
		Address:      n.GetAddress(),
		InFlight:     n.GetInFlight(),
		Region:       n.GetRegion(),
		Advertised:   n.GetAdvertised(),
		Draining:     n.GetDraining(),
		Requests:     n.GetRequests(),
		Errors:       n.GetErrors(),
		RequestRate:  float64(n.GetRequests_10S()) / 10,

		OverheadP50Us: n.GetOverheadP50Us(),
		OverheadP99Us: n.GetOverheadP99Us(),
		ClockSkewMs:   n.Skew.Milliseconds(),
		SpoolPercent:  int32(n.GetSpoolPercent()),
		MemoryBytes:   n.GetMemoryBytes(),
		SeenLost:      n.GetSeenLost(),
	}
	for _, name := range slices.Sorted(maps.Keys(n.GetUnresolvedSecrets())) {
		m.UnresolvedSecrets = append(m.UnresolvedSecrets, &controlv1.UnresolvedSecret{Secret: name, Error: n.GetUnresolvedSecrets()[name]})
	}
	if ms := n.GetStartUnixMs(); ms != 0 {
		m.StartTime = timeTo(time.UnixMilli(ms))
	}
	for _, b := range n.GetBreakers() {
		m.Breakers = append(m.Breakers, &controlv1.NodeBreaker{Target: b.GetTarget(), State: b.GetState()})
	}
	for _, t := range n.GetTargets() {
		target := &controlv1.NodeTarget{
			Endpoint: t.GetEndpoint(), Target: t.GetTarget(), State: t.GetState(), Attempts: t.GetAttempts(),
			Failures: t.GetFailures(), Retries: t.GetRetries(), InFlight: t.GetInFlight(),
		}
		if ms := t.GetUntilUnixMs(); ms != 0 {
			target.RetryTime = timeTo(time.UnixMilli(ms))
		}
		m.Targets = append(m.Targets, target)
	}
	return m
}
