package litellmapi

import (
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// mostLogs is how many records one answer has.
const mostLogs = 10_000

// day reads a day or a time of a query.
func day(name, text string) (time.Time, error) {
	for _, form := range []string{time.DateOnly, "2006-01-02 15:04:05", time.RFC3339} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, invalid(name, "%s is a day such as 2026-11-01.", name)
}

// span are the days that a query asks for.
func (c *call) span() (from, to time.Time, err error) {
	q, now := c.r.URL.Query(), time.Now().UTC()
	from, to = now.AddDate(0, 0, -30).Truncate(24*time.Hour), now
	if text := q.Get("start_date"); text != "" {
		if from, err = day("start_date", text); err != nil {
			return from, to, err
		}
	}
	if text := q.Get("end_date"); text != "" {
		if to, err = day("end_date", text); err != nil {
			return from, to, err
		}
	}
	if from.After(to) {
		return from, to, invalid("end_date", "end_date is before start_date.")
	}
	return from, to, nil
}

// spendLogs lists records of requests. With start_date and end_date alone LiteLLM sums them up by day, unless summarize is false.
func (c *call) spendLogs() (any, error) {
	q := c.r.URL.Query()
	from, to, err := c.span()
	if err != nil {
		return nil, err
	}
	single := q.Get("request_id") != "" || q.Get("api_key") != "" || q.Get("user_id") != ""
	if summarize, err := strconv.ParseBool(q.Get("summarize")); q.Get("start_date") != "" && !single && (summarize || err != nil) {
		return c.spendByDay(from, to)
	}
	f := &controlv1.RequestFilter{RequestId: q.Get("request_id")}
	if f.GetRequestId() == "" || q.Get("start_date") != "" {
		f.FromTime = timestamppb.New(from)
		if q.Get("end_date") != "" && !strings.ContainsAny(q.Get("end_date"), ": ") {
			to = to.AddDate(0, 0, 1) // the day is included
		}
		f.ToTime = timestamppb.New(to)
	}
	if ref := q.Get("api_key"); ref != "" {
		k, err := c.key(ref)
		if err != nil {
			return nil, err
		}
		f.Key = k.GetId()
	}
	if user := q.Get("user_id"); user != "" {
		f.Tag = tagOfUser(user)
	}
	var all []*controlv1.RequestRecord
	req := &controlv1.ListRequestsRequest{Filter: f, PageSize: 1000}
	for range mostPages {
		page, err := c.usage.ListRequests(c.ctx, req)
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetRequests()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" || len(all) >= mostLogs {
			break
		}
	}
	return c.describeLogs(all[:min(len(all), mostLogs)])
}

func (c *call) describeLogs(all []*controlv1.RequestRecord) (any, error) {
	ids := map[string]bool{}
	for _, r := range all {
		ids[r.GetKeyId()] = true
	}
	hashes, err := c.Store.KeyHashes(c.ctx, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		return nil, err
	}
	out := make([]object, len(all))
	for i, r := range all {
		n, err := contract.MoneyFromProto(r.GetCost())
		if err != nil {
			return nil, err
		}
		end := r.GetTime().AsTime()
		status := "success"
		if r.GetOutcome() != "ok" {
			status = "failure"
		}
		user, tags := splitTags(r.GetTags())
		out[i] = object{
			"request_id": r.GetRequestId(), "call_type": "pass_through_endpoint", "api_key": hex.EncodeToString(hashes[r.GetKeyId()]),
			"spend": amountOf(n), "total_tokens": r.GetUnits(), "prompt_tokens": 0, "completion_tokens": 0,
			"startTime": stamp(end.Add(-time.Duration(r.GetDurationUs()) * time.Microsecond)), "endTime": stamp(end), "completionStartTime": nil,
			"model": r.GetModel(), "model_id": "", "model_group": r.GetModel(), "custom_llm_provider": "", "api_base": r.GetEndpointName(),
			"user": user, "metadata": object{"user_api_key_alias": nullable(r.GetKeyName()), "unpriced": r.GetUnpriced(), "corrects": nullable(r.GetCorrects())},
			"cache_hit": "False", "cache_key": "", "request_tags": tags, "team_id": nullable(c.teamIDOf(r.GetTeam())), "end_user": r.GetCustomer(),
			"requester_ip_address": nil, "messages": object{}, "response": object{}, "status": status, "attempt": r.GetAttempt(), "edge": r.GetEdge(),
		}
	}
	return out, nil
}

// teamIDOf is the id that clients know a team by, or its name where it is gone.
func (c *call) teamIDOf(name string) string {
	all, err := c.allTeams()
	if t := all[name]; err == nil && t != nil {
		return teamID(t)
	}
	return name
}

// usageBy asks the books.
func (c *call) usageBy(q *controlv1.QueryUsageRequest, from, to time.Time, by ...controlv1.UsageDimension) ([]*controlv1.UsageRow, error) {
	q.FromDay, q.ToDay, q.GroupBy = from.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly), by
	got, err := c.usage.QueryUsage(c.ctx, q)
	return got.GetRows(), err
}

// spendByDay is the summary of days: what each key, model and all of them cost.
func (c *call) spendByDay(from, to time.Time) (any, error) {
	rows, err := c.usageBy(&controlv1.QueryUsageRequest{}, from, to,
		controlv1.UsageDimension_USAGE_DIMENSION_DAY, controlv1.UsageDimension_USAGE_DIMENSION_KEY, controlv1.UsageDimension_USAGE_DIMENSION_MODEL)
	if err != nil {
		return nil, err
	}
	type sums struct {
		all          money.Nanos
		keys, models map[string]money.Nanos
	}
	days, ids := map[string]*sums{}, map[string]bool{}
	for _, r := range rows {
		n, err := contract.MoneyFromProto(r.GetCost())
		if err != nil {
			return nil, err
		}
		d := days[r.GetDay()]
		if d == nil {
			d = &sums{keys: map[string]money.Nanos{}, models: map[string]money.Nanos{}}
			days[r.GetDay()] = d
		}
		ids[r.GetKeyId()] = true
		for _, to := range []struct {
			in   map[string]money.Nanos
			name string
		}{{d.keys, r.GetKeyId()}, {d.models, r.GetModel()}} {
			if to.in[to.name], err = to.in[to.name].Add(n); err != nil {
				return nil, err
			}
		}
		if d.all, err = d.all.Add(n); err != nil {
			return nil, err
		}
	}
	hashes, err := c.Store.KeyHashes(c.ctx, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, name := range slices.Sorted(maps.Keys(days)) {
		d := days[name]
		row := object{"startTime": name, "spend": amountOf(d.all), "users": object{}}
		models := object{}
		for m, n := range d.models {
			models[m] = amountOf(n)
		}
		row["models"] = models
		for id, n := range d.keys {
			row[hex.EncodeToString(hashes[id])] = amountOf(n)
		}
		out = append(out, row)
	}
	return out, nil
}

// globalSpend is all that was spent.
func (c *call) globalSpend() (any, error) {
	got, err := c.usage.QueryUsage(c.ctx, &controlv1.QueryUsageRequest{FromDay: usageEver(time.Now())})
	if err != nil {
		return nil, err
	}
	n, err := contract.MoneyFromProto(got.GetTotal().GetCost())
	if err != nil {
		return nil, err
	}
	budgets, _, err := c.budgetsOf("scope:everything", false)
	if err != nil {
		return nil, err
	}
	out := object{"spend": amountOf(n), "max_budget": json0}
	for _, b := range budgets {
		n, err := contract.MoneyFromProto(b.GetAmount())
		if err != nil {
			return nil, err
		}
		out["max_budget"] = amountOf(n)
	}
	return out, nil
}

var json0 = amountOf(0)

func (c *call) globalSpendKeys() (any, error) {
	from, to, err := c.span()
	if err != nil {
		return nil, err
	}
	q := &controlv1.QueryUsageRequest{}
	if text := c.r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 1 || n > 1000 {
			return nil, invalid("limit", "limit is a number from 1 to 1000.")
		}
		q.TopN = int32(n)
	}
	rows, err := c.usageBy(q, from, to, controlv1.UsageDimension_USAGE_DIMENSION_KEY)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.GetKeyId())
	}
	hashes, err := c.Store.KeyHashes(c.ctx, ids)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, r := range rows {
		n, err := contract.MoneyFromProto(r.GetCost())
		if err != nil {
			return nil, err
		}
		if !r.GetOther() {
			out = append(out, object{"api_key": hex.EncodeToString(hashes[r.GetKeyId()]), "key_alias": nullable(r.GetKeyName()), "key_name": nullable(r.GetKeyName()), "total_spend": amountOf(n)})
		}
	}
	return out, nil
}

func (c *call) globalSpendTeams() (any, error) {
	from, to, err := c.span()
	if err != nil {
		return nil, err
	}
	rows, err := c.usageBy(&controlv1.QueryUsageRequest{}, from, to, controlv1.UsageDimension_USAGE_DIMENSION_DAY, controlv1.UsageDimension_USAGE_DIMENSION_TEAM)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(rows, func(a, b *controlv1.UsageRow) int { return strings.Compare(a.GetDay(), b.GetDay()) })
	daily, totals, order := []any{}, map[string]money.Nanos{}, []string{}
	byDay := map[string]object{}
	for _, r := range rows {
		if r.GetTeam() == "" {
			continue
		}
		n, err := contract.MoneyFromProto(r.GetCost())
		if err != nil {
			return nil, err
		}
		if byDay[r.GetDay()] == nil {
			byDay[r.GetDay()] = object{"date": r.GetDay()}
			daily = append(daily, byDay[r.GetDay()])
		}
		if _, ok := totals[r.GetTeam()]; !ok {
			order = append(order, r.GetTeam())
		}
		byDay[r.GetDay()][r.GetTeam()] = amountOf(n)
		if totals[r.GetTeam()], err = totals[r.GetTeam()].Add(n); err != nil {
			return nil, err
		}
	}
	perTeam := []any{}
	for _, name := range order {
		perTeam = append(perTeam, object{"team_id": c.teamIDOf(name), "total_spend": amountOf(totals[name])})
	}
	return object{"daily_spend": daily, "teams": texts(order), "total_spend_per_team": perTeam}, nil
}

// globalSpendReport is what was spent by day and team, customer or key.
func (c *call) globalSpendReport() (any, error) {
	query := c.r.URL.Query()
	for _, name := range []string{"start_date", "end_date"} {
		if query.Get(name) == "" {
			return nil, invalid(name, "Please provide start_date and end_date")
		}
	}
	from, to, err := c.span()
	if err != nil {
		return nil, err
	}
	q := &controlv1.QueryUsageRequest{Customer: query.Get("customer_id")}
	if ref := query.Get("api_key"); ref != "" {
		k, err := c.key(ref)
		if err != nil {
			return nil, err
		}
		q.Key = k.GetId()
	}
	if ref := query.Get("team_id"); ref != "" {
		t, err := c.team(ref)
		if err != nil {
			return nil, err
		}
		q.Team = t.GetName()
	}
	if user := query.Get("internal_user_id"); user != "" {
		q.Tag = tagOfUser(user)
	}
	by, field, part := controlv1.UsageDimension_USAGE_DIMENSION_TEAM, "team_name", "teams"
	switch query.Get("group_by") {
	case "", "team":
	case "customer":
		by, field, part = controlv1.UsageDimension_USAGE_DIMENSION_CUSTOMER, "customer", "customers"
	case "api_key":
		by, field, part = controlv1.UsageDimension_USAGE_DIMENSION_KEY, "api_key", "api_keys"
	default:
		return nil, invalid("group_by", "group_by is team, customer or api_key.")
	}
	rows, err := c.usageBy(q, from, to, controlv1.UsageDimension_USAGE_DIMENSION_DAY, by, controlv1.UsageDimension_USAGE_DIMENSION_MODEL, controlv1.UsageDimension_USAGE_DIMENSION_ENDPOINT)
	if err != nil {
		return nil, err
	}
	return c.report(rows, by, field, part)
}
