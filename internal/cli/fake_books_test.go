package cli_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/fault"
)

type teamService struct {
	controlv1connect.UnimplementedTeamServiceHandler
	*fake
}

func (s teamService) CreateTeam(_ context.Context, req *controlv1.CreateTeamRequest) (*controlv1.CreateTeamResponse, error) {
	if err := free(s.teams, "team", req.GetName()); err != nil {
		return nil, err
	}
	t := &controlv1.Team{Id: "id_" + req.GetName(), Name: req.GetName(), Revision: s.next(), CreateTime: timestamppb.New(clock)}
	s.teams[t.GetName()] = t
	return &controlv1.CreateTeamResponse{Team: t}, nil
}

func (s teamService) GetTeam(_ context.Context, req *controlv1.GetTeamRequest) (*controlv1.GetTeamResponse, error) {
	t, err := find(s.teams, "team", req.GetTeam())
	return &controlv1.GetTeamResponse{Team: t}, err
}

func (s teamService) ListTeams(_ context.Context, req *controlv1.ListTeamsRequest) (*controlv1.ListTeamsResponse, error) {
	items, next := page(s.teams, req.GetPageToken())
	return &controlv1.ListTeamsResponse{Teams: items, NextPageToken: next}, nil
}

func (s teamService) DeleteTeam(_ context.Context, req *controlv1.DeleteTeamRequest) (*controlv1.DeleteTeamResponse, error) {
	if _, err := find(s.teams, "team", req.GetTeam()); err != nil {
		return nil, err
	}
	for _, k := range s.keys {
		if k.GetTeam() == req.GetTeam() {
			return nil, refuse(fault.New(fault.FailedPrecondition, "Key %s is of team %s.", k.GetName(), req.GetTeam()))
		}
	}
	delete(s.teams, req.GetTeam())
	return &controlv1.DeleteTeamResponse{}, nil
}

type limitService struct {
	controlv1connect.UnimplementedLimitServiceHandler
	*fake
}

func (s limitService) store(l *controlv1.Limit) *controlv1.Limit {
	l = proto.CloneOf(l)
	l.Id, l.Revision = "id_"+l.GetName(), s.next()
	l.Etag = fmt.Sprintf("etag-%d", l.GetRevision())
	s.limits[l.GetName()] = l
	return l
}

func (s limitService) CreateLimit(_ context.Context, req *controlv1.CreateLimitRequest) (*controlv1.CreateLimitResponse, error) {
	if err := free(s.limits, "limit", req.GetLimit().GetName()); err != nil {
		return nil, err
	}
	return &controlv1.CreateLimitResponse{Limit: s.store(req.GetLimit())}, nil
}

func (s limitService) GetLimit(_ context.Context, req *controlv1.GetLimitRequest) (*controlv1.GetLimitResponse, error) {
	l, err := find(s.limits, "limit", req.GetLimit())
	return &controlv1.GetLimitResponse{Limit: l}, err
}

func (s limitService) ListLimits(_ context.Context, req *controlv1.ListLimitsRequest) (*controlv1.ListLimitsResponse, error) {
	items, next := page(s.limits, req.GetPageToken())
	return &controlv1.ListLimitsResponse{Limits: items, NextPageToken: next}, nil
}

func (s limitService) UpdateLimit(_ context.Context, req *controlv1.UpdateLimitRequest) (*controlv1.UpdateLimitResponse, error) {
	l, err := find(s.limits, "limit", req.GetLimit())
	if err != nil {
		return nil, err
	}
	l = proto.CloneOf(l)
	if req.Amount != nil {
		l.Amount = req.GetAmount()
	}
	if req.Burst != nil {
		l.Burst = req.GetBurst()
	}
	if req.GetFallback() != 0 {
		l.Fallback = req.GetFallback()
	}
	return &controlv1.UpdateLimitResponse{Limit: s.store(l)}, nil
}

func (s limitService) DeleteLimit(_ context.Context, req *controlv1.DeleteLimitRequest) (*controlv1.DeleteLimitResponse, error) {
	if _, err := find(s.limits, "limit", req.GetLimit()); err != nil {
		return nil, err
	}
	delete(s.limits, req.GetLimit())
	return &controlv1.DeleteLimitResponse{}, nil
}

type usageService struct {
	controlv1connect.UnimplementedUsageServiceHandler
}

func (usageService) QueryUsage(_ context.Context, req *controlv1.QueryUsageRequest) (*controlv1.QueryUsageResponse, error) {
	total := &controlv1.UsageRow{Requests: 3, Failed: 1, Cost: usd(24, 1500)}
	row := proto.CloneOf(total)
	for _, d := range req.GetGroupBy() {
		switch d {
		case controlv1.UsageDimension_USAGE_DIMENSION_KEY:
			row.KeyId, row.KeyName = "id_ci", "ci"
		case controlv1.UsageDimension_USAGE_DIMENSION_ENDPOINT:
			row.EndpointId = "id_gone"
			if req.GetFromDay() == "2026-11-03" { // of the invoice
				row.EndpointName, row.Day = "rerank", "2026-11-03"
			}
		case controlv1.UsageDimension_USAGE_DIMENSION_DAY:
			row.Day = req.GetFromDay()
		case controlv1.UsageDimension_USAGE_DIMENSION_TEAM:
			row.Team = "search"
		case controlv1.UsageDimension_USAGE_DIMENSION_TAG:
			row.Tag = "nightly"
		case controlv1.UsageDimension_USAGE_DIMENSION_STATUS:
			row.Status = 200
		case controlv1.UsageDimension_USAGE_DIMENSION_STATUS_CLASS:
			row.StatusClass = "2xx"
		case controlv1.UsageDimension_USAGE_DIMENSION_EDGE:
			row.Edge = "lon-2"
		default:
			return nil, refuse(fault.New(fault.InvalidArgument, "No such dimension."))
		}
	}
	if req.GetTopN() > 0 {
		other := proto.CloneOf(total)
		other.Day, other.Other = row.GetDay(), true
		return &controlv1.QueryUsageResponse{Rows: []*controlv1.UsageRow{row, other}, Total: total, AsOf: timestamppb.New(clock)}, nil
	}
	return &controlv1.QueryUsageResponse{Rows: []*controlv1.UsageRow{row}, Total: total, AsOf: timestamppb.New(clock)}, nil
}

// records are what the fake has booked, newest first.
func records(filter *controlv1.RequestFilter) (all []*controlv1.RequestRecord) {
	for i := range 5 {
		r := &controlv1.RequestRecord{
			Position: fmt.Sprintf("0-7-%d", 9-i), RequestId: fmt.Sprintf("req_%d", 9-i), Attempt: 1, Time: timestamppb.New(clock), DurationUs: 1500,
			KeyId: "id_ci", KeyName: "ci", EndpointId: "id_gone", Team: "search", Status: 200, Outcome: "ok", Cost: usd(12, 0), Unpriced: i == 1,
		}
		if i == 2 {
			r.Meter, r.Counts, r.Model = "tokens", map[string]string{"input": "10", "output": "2.5"}, "m-1"
			r.Job, r.JobState, r.Deployment = "job-7", "done", "gpt/azure"
		}
		if i == 0 {
			r.Corrects, r.Cost = "0-7-8", usd(-1, 0)
		}
		if i == 4 {
			r.Status, r.Outcome, r.Cost = 0, "unreachable", usd(0, 0)
		}
		matches := filter.GetRequestId() == "" || filter.GetRequestId() == r.GetRequestId()
		matches = matches && (filter.GetJob() == "" || filter.GetJob() == r.GetJob()) && (filter.GetMeter() == "" || filter.GetMeter() == r.GetMeter())
		matches = matches && (filter.GetDeployment() == "" || strings.HasPrefix(r.GetDeployment(), filter.GetDeployment()))
		if matches && (!filter.GetUnpriced() || r.GetUnpriced()) {
			all = append(all, r)
		}
	}
	return all
}

func (usageService) ListRequests(_ context.Context, req *controlv1.ListRequestsRequest) (*controlv1.ListRequestsResponse, error) {
	all := records(req.GetFilter())
	from, t := 0, req.GetPageToken()
	if t == "" { // a page that took long to fill may be empty
		return &controlv1.ListRequestsResponse{NextPageToken: "0"}, nil
	}
	if t != "0" {
		if _, err := fmt.Sscan(t, &from); err != nil {
			return nil, refuse(fault.New(fault.InvalidArgument, "No such page."))
		}
	}
	to := min(len(all), from+min(2, int(req.GetPageSize())))
	out := &controlv1.ListRequestsResponse{Requests: all[from:to]}
	if to < len(all) {
		out.NextPageToken = fmt.Sprint(to)
	}
	return out, nil
}

func (usageService) ExportRequests(_ context.Context, req *controlv1.ExportRequestsRequest, stream *connect.ServerStream[controlv1.ExportRequestsResponse]) error {
	if req.GetFormat() == controlv1.ExportFormat_EXPORT_FORMAT_CSV {
		if err := stream.Send(&controlv1.ExportRequestsResponse{Data: []byte("time,request_id\n")}); err != nil {
			return err
		}
	}
	for _, r := range records(req.GetFilter()) {
		if err := stream.Send(&controlv1.ExportRequestsResponse{Data: []byte("t," + r.GetRequestId() + "\n")}); err != nil {
			return err
		}
	}
	return nil
}

func (usageService) RepriceRequests(_ context.Context, req *controlv1.RepriceRequestsRequest) (*controlv1.RepriceRequestsResponse, error) {
	if !req.GetFilter().GetUnpriced() {
		return nil, refuse(fault.New(fault.InvalidArgument, "Only unpriced requests are priced."))
	}
	if req.GetCurrent() {
		return &controlv1.RepriceRequestsResponse{Corrected: 2, Difference: usd(0, 1858554), StillUnpriced: 4, Reasons: []*controlv1.StillUnpriced{
			{EndpointId: "id_gone", EndpointName: "chat", Reason: `the model "o9" is in no list of prices`, Requests: 3},
			{EndpointId: "id_gone", Reason: "its endpoint is deleted", Requests: 1},
		}}, nil
	}
	difference := req.GetPerRequest()
	if zero := difference.GetUnits() == 0 && difference.GetNanos() == 0; zero {
		difference = usd(0, -5e8)
	}
	return &controlv1.RepriceRequestsResponse{Corrected: 1, Difference: difference}, nil
}

type requestService struct {
	controlv1connect.UnimplementedRequestServiceHandler
}

func (requestService) GetRequest(_ context.Context, req *controlv1.GetRequestRequest) (*controlv1.GetRequestResponse, error) {
	all := records(&controlv1.RequestFilter{RequestId: req.GetRequestId()})
	if len(all) == 0 {
		return nil, refuse(fault.New(fault.ObjectNotFound, "The books have no request %s.", req.GetRequestId()))
	}
	slices.Reverse(all)
	return &controlv1.GetRequestResponse{Records: all}, nil
}
