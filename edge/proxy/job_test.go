package proxy

import (
	"context"
	"testing"
	"time"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

// jobs is a price of work that is begun by one request and asked after by others: 40 micro-dollars for each second.
const jobs = `
unmatched: refuse
fallback: "0.05"
meters:
- name: begin
  match: {methods: [POST], path: ^/jobs$}
  counters: [{name: seconds, sources: [{frame: metrics.seconds}]}]
  units: [{name: seconds}]
  prices: [{model: "*", rates: [{unit: seconds, price: "0.00004"}]}]
  hold: {amount: "0.02"}
  job: {id: [{frame: id}], begins: true, tells: true, done: [{source: {frame: status}, in: [succeeded]}], failed: [{source: {frame: status}, in: [failed]}], ttl_seconds: 600, expired: nothing}
- name: poll
  match: {methods: [GET], path: ^/jobs/}
  counters: [{name: seconds, sources: [{frame: metrics.seconds}]}]
  units: [{name: seconds}]
  prices: [{model: "*", rates: [{unit: seconds, price: "0.00004"}]}]
  job: {id: [{frame: id}], tells: true, done: [{source: {frame: status}, in: [succeeded]}], failed: [{source: {frame: status}, in: [failed]}]}
`

// Guarantee: a request that begins a job is charged what is held for it as long as nobody knows how it ends; one that asks costs
// nothing and holds nothing, and its record tells what the job costs.
func TestJobs(t *testing.T) {
	t.Parallel()
	const held = 20_000_000
	const running, done, failed = eventv1.SpendJobState_SPEND_JOB_STATE_RUNNING, eventv1.SpendJobState_SPEND_JOB_STATE_DONE, eventv1.SpendJobState_SPEND_JOB_STATE_FAILED
	begun := spool.Job{ID: "j1", State: running, TTL: 10 * time.Minute, ExpiresFree: true, Begins: true}
	with := func(j spool.Job, state eventv1.SpendJobState, cost money.Nanos) *spool.Job {
		j.State, j.Cost = state, cost
		if state == done {
			j.Units, j.Counts = 3, "seconds=2.5"
		}
		return &j
	}
	asked := spool.Job{ID: "j1", TTL: 24 * time.Hour}
	for name, tc := range map[string]struct {
		method, path, answer string
		status               int
		cost                 money.Nanos
		job                  *spool.Job
	}{
		"begins":                   {"POST", "/jobs", `{"id":"j1","status":"starting"}`, 201, held, &begun},
		"begins and waits":         {"POST", "/jobs", `{"id":"j1","status":"succeeded","metrics":{"seconds":2.5}}`, 201, 100_000, with(begun, done, 100_000)},
		"begins and fails":         {"POST", "/jobs", `{"id":"j1","status":"failed"}`, 201, 0, with(begun, failed, 0)},
		"is not begun":             {"POST", "/jobs", `{"error":"no"}`, 422, 0, nil},
		"asks while it goes on":    {"GET", "/jobs/j1", `{"id":"j1","status":"processing"}`, 200, 0, with(asked, running, 0)},
		"asks when it is done":     {"GET", "/jobs/j1", `{"id":"j1","status":"succeeded","metrics":{"seconds":2.5}}`, 200, 0, with(asked, done, 100_000)},
		"asks when it has failed":  {"GET", "/jobs/j1", `{"id":"j1","status":"failed"}`, 200, 0, with(asked, failed, 0)},
		"asks after another thing": {"GET", "/jobs/j1", `{"error":"no such job"}`, 404, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStages(t, metered(t, jobs), &script{status: tc.status, headers: []Header{jsonType}, pieces: []string{tc.answer}})
			if tc.method == "GET" {
				s.money.left = 0
			}
			out := s.ask(context.Background(), &got{}, tc.method, tc.path, "")
			if out.status != tc.status || out.body.String() != tc.answer {
				t.Fatalf("the caller got %d %q", out.status, out.body.String())
			}
			if told := get(out.headers, HeaderCost); tc.method == "GET" && told != "0.00" {
				t.Errorf("the caller is told that asking costs %q", told)
			}
			in, _, end := s.lastIntent()
			if end.Cost != tc.cost || end.Unpriced || tc.method == "GET" && (in.Amount != 0 || end.Units != 0) {
				t.Errorf("charged %s of %s for %d units, want %s", end.Cost, in.Amount, end.Units, tc.cost)
			}
			switch {
			case (end.Job == nil) != (tc.job == nil):
				t.Errorf("recorded job %+v", end.Job)
			case tc.job != nil && *end.Job != *tc.job:
				t.Errorf("recorded job %+v, want %+v", *end.Job, *tc.job)
			}
		})
	}
}

// Guarantee: a job that is done, and whose cost nobody can tell, is marked as such in what is told of it.
func TestJobOfUnknownCost(t *testing.T) {
	t.Parallel()
	s := newStages(t, metered(t, jobs), &script{status: 200, headers: []Header{jsonType}, pieces: []string{`{"id":"j1","status":"succeeded"}`}})
	s.ask(context.Background(), &got{}, "GET", "/jobs/j1", "")
	if _, _, end := s.lastIntent(); end.Cost != 0 || end.Unpriced || end.Job == nil || !end.Job.Unpriced || end.Job.Cost != fallback {
		t.Errorf("settled %+v, %+v", end, end.Job)
	}
}
