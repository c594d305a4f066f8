package spool_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"tollgate/edge/spool"
	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/money"
)

var anyJob = rapid.Custom(func(t *rapid.T) spool.Job {
	return spool.Job{
		ID: rapid.StringN(0, 80, 256).Draw(t, "id"), State: eventv1.SpendJobState(rapid.IntRange(0, 3).Draw(t, "state")),
		Cost: money.Nanos(rapid.Int64Min(0).Draw(t, "job cost")), AsBegun: rapid.Bool().Draw(t, "as begun"),
		TTL: time.Duration(rapid.Int64Min(0).Draw(t, "ttl")), ExpiresFree: rapid.Bool().Draw(t, "free"),
		Unpriced: rapid.Bool().Draw(t, "job unpriced"), Begins: rapid.Bool().Draw(t, "begins"), Units: rapid.Int64Min(0).Draw(t, "job units"),
		Counts: rapid.StringN(0, 300, 1024).Draw(t, "job counts"), Model: aText.Draw(t, "job model"),
	}
})

func jobEvent(j *spool.Job) *eventv1.SpendJob {
	if j == nil {
		return nil
	}
	return &eventv1.SpendJob{
		Id: j.ID, State: j.State, CostNanos: int64(j.Cost), AsBegun: j.AsBegun, TtlSeconds: int64(j.TTL / time.Second),
		ExpiresFree: j.ExpiresFree, Unpriced: j.Unpriced, Begins: j.Begins, Units: j.Units, Counts: j.Counts, Model: j.Model,
	}
}

// counted is how a request ends that a meter has read; every third one is about a job.
func counted(n int) *spool.Settlement {
	end := ok(n)
	end.Meter, end.Counts = "tokens", fmt.Sprintf("input=%d,output=%d.5", n, n)
	if n%3 == 0 {
		end.Job = &spool.Job{
			ID: fmt.Sprintf("job-%d", n), State: eventv1.SpendJobState_SPEND_JOB_STATE_RUNNING, Begins: true, TTL: time.Hour, ExpiresFree: n%2 == 0,
		}
	}
	return end
}

// Guarantee: what was counted and what is said of a job is in the event, and in no more of it than the ledger
// takes, which is said where some is left out; an id that is too long stays the same for all who name it, and different from all others.
func TestCountsAndJobs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ give, want spool.Settlement }{
		"plain": {
			spool.Settlement{Meter: "m", Counts: "a=1,b=2.5", Job: &spool.Job{ID: "j", Cost: 3, Counts: "a=1"}},
			spool.Settlement{Meter: "m", Counts: "a=1,b=2.5", Job: &spool.Job{ID: "j", Cost: 3, Counts: "a=1"}},
		},
		"long": {
			spool.Settlement{Meter: strings.Repeat("é", 40), Counts: strings.Repeat("counter=12345678,", 100), Job: &spool.Job{ID: strings.Repeat("j", 257)}},
			spool.Settlement{
				Meter: strings.Repeat("é", 32), Counts: "@partial=1" + strings.Repeat(",counter=12345678", 59),
				Job: &spool.Job{ID: fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(strings.Repeat("j", 257))))},
			},
		},
		"one long count": {spool.Settlement{Counts: strings.Repeat("c", 2000)}, spool.Settlement{Counts: "@partial=1"}},
		"exactly as long as may be": {
			spool.Settlement{Counts: strings.Repeat("c", 1020) + ",d=1"}, spool.Settlement{Counts: strings.Repeat("c", 1020) + ",d=1"},
		},
		"one more": {
			spool.Settlement{Counts: strings.Repeat("c", 1013) + ",d=123456789"}, spool.Settlement{Counts: "@partial=1," + strings.Repeat("c", 1013)},
		},
		"negative": {spool.Settlement{Job: &spool.Job{ID: "j", Cost: -1, Units: -1, TTL: -1}}, spool.Settlement{Job: &spool.Job{ID: "j"}}},
		"no id":    {spool.Settlement{Job: &spool.Job{Cost: 5}}, spool.Settlement{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := mustOpen(t, spool.Options{Storage: spool.NewMemory()})
			ticket, err := s.Intent(anIntent(1))
			if err != nil {
				t.Fatal(err)
			}
			end := c.give
			end.At = ok(1).At
			s.Settle(ticket, &end)
			want := c.want
			want.At = end.At
			diffEvents(t, events(t, s, s.Inc(), 1), []*eventv1.SpendEvent{settled(anIntent(1), &want)})
		})
	}
	long, other := strings.Repeat("x", 300), strings.Repeat("x", 299)+"y"
	if a, b := spool.JobID(long), spool.JobID(other); a == b || a != spool.JobID(long) || !strings.HasPrefix(a, "sha256:") || len(a) != 71 {
		t.Errorf("%s and %s", a, b)
	}
}

// Guarantee: whatever a target names a job and a meter counts, what is recorded is text within bounds, and
// recording it changes nothing of what the caller has.
func TestDetailsAreBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := func(name string) string {
			piece := string(rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, name))
			return strings.Repeat(piece, rapid.IntRange(1, 200).Draw(t, name+" times"))
		}
		job := spool.Job{ID: raw("id"), Counts: raw("job counts"), Model: raw("model"), Cost: money.Nanos(rapid.Int64().Draw(t, "cost"))}
		before := job
		end := spool.Bounded(spool.Settlement{Meter: raw("meter"), Counts: raw("counts"), Job: &job})
		if job != before {
			t.Fatalf("%+v became %+v", before, job)
		}
		if (end.Job == nil) != (job.ID == "") {
			t.Fatalf("job %q became %+v", job.ID, end.Job)
		}
		check := func(what, text string, most int) {
			// A character that is not one becomes a question mark, which is never longer.
			if len(text) > most || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				t.Fatalf("%s of %d bytes: %q", what, len(text), text)
			}
		}
		check("meter", end.Meter, 64)
		check("counts", end.Counts, 1024)
		if end.Job != nil {
			check("id", end.Job.ID, 256)
			check("counts of a job", end.Job.Counts, 1024)
			check("model", end.Job.Model, 256)
			if end.Job.Cost < 0 {
				t.Fatalf("it costs %d", end.Job.Cost)
			}
		}
	})
}

// Guarantee: where the disk has no space for what was counted, the request is settled without it, and those
// in flight are settled all the same.
func TestNoSpaceForCounts(t *testing.T) {
	t.Parallel()
	m := spool.NewMemory()
	m.SetSpace(2*16<<10 + 100)
	s := mustOpen(t, spool.Options{Storage: m, SegmentBytes: 16 << 10})
	heavy := func(n int) *spool.Settlement {
		end := ok(n)
		end.Counts = strings.Repeat("c=1,", 255) + "c=1"
		return end
	}
	var open []spool.Ticket
	for n := 0; ; n++ {
		ticket, err := s.Intent(anIntent(n))
		if err != nil {
			break
		}
		if open = append(open, ticket); n >= 5 {
			s.Settle(open[n-5], heavy(n-5))
		}
	}
	for n, ticket := range open {
		s.Settle(ticket, heavy(n)) // of those that are settled nothing comes
	}
	if err := s.Err(); err != nil {
		t.Fatalf("settlements wait: %v", err)
	}
	got := events(t, s, s.Inc(), 1)
	if len(got) != len(open) {
		t.Fatalf("%d events of %d requests", len(got), len(open))
	}
	bare := 0
	for n, e := range got {
		end := heavy(n)
		if e.GetCounts() == "" {
			end.Counts = ""
			bare++
		}
		diffEvents(t, []*eventv1.SpendEvent{e}, []*eventv1.SpendEvent{settled(anIntent(n), end)})
	}
	if bare == 0 || bare == len(got) {
		t.Errorf("%d of %d were settled without their counts", bare, len(got))
	}
}
