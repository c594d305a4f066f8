package sample

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	eventv1 "tollgate/gen/tollgate/event/v1"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// What the history is made of. Sums of a model's tokens are whole nano-dollars: a token costs 2,500 of them, or 10,000.
const (
	historyDays    = 30
	seed           = 0x70116A7E
	briaWas        = 10 * money.Dollar
	rerankPrice    = money.Dollar / 10_000
	pagePrice      = money.Dollar / 500
	flakyPrice     = money.Dollar / 5_000
	tokenPrice     = money.Dollar / 20
	promptNanos    = 2_500
	answerNanos    = 10_000
	unknownCost    = money.Dollar / 100 // the fallback of prices by meters
	chatModel      = "demo-chat"
	marketingStep  = 50 * money.Dollar // its budget is a multiple
	marketingLeast = 200 * money.Dollar
)

// attempt is one settled request of the history.
type attempt struct {
	at            time.Time
	key, endpoint string
	customer      string
	status        uint32
	cost          money.Nanos
	price         money.Nanos // held
	units         int64
	unpriced      bool
	model         string
	meter, counts string
	took          time.Duration
	request       id.Bytes
}

func (a *attempt) outcome() eventv1.SpendOutcome {
	if a.status >= 400 {
		return eventv1.SpendOutcome_SPEND_OUTCOME_TARGET_ERROR
	}
	return eventv1.SpendOutcome_SPEND_OUTCOME_OK
}

// source is a flow of requests: how many on a working day, when, and what one of them is like.
type source struct {
	key, endpoint string
	perDay        float64
	hours         *[24]float64
	since, until  time.Duration // before the end of the history; 0 for its whole length and its end
	customers     bool
	one           func(r *rand.Rand, a *attempt)
}

// Shares of a day's requests by hour of UTC: people work by day, jobs by night.
var (
	officeHours = [24]float64{1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 19, 15, 18, 20, 19, 17, 13, 9, 7, 5, 4, 3, 2}
	nightHours  = [24]float64{12, 20, 24, 20, 10, 4, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8}
)

func sources() []source {
	return []source{
		{key: "campaigns", endpoint: "bria", perDay: 9, hours: &officeHours, one: picture},
		{key: "contractor", endpoint: "bria", perDay: 2, hours: &officeHours, one: picture},
		{key: "contractor", endpoint: "slow", perDay: 8, hours: &officeHours, one: free(3*time.Second, 50*time.Millisecond)},
		{key: "contractor", endpoint: "wants-token", perDay: 6, hours: &officeHours, until: 40 * time.Hour, one: fixed(tokenPrice, 0)},
		{key: "contractor", endpoint: "wants-token", perDay: 6, hours: &officeHours, since: 40 * time.Hour, one: refused},
		{key: "web", endpoint: "rerank", perDay: 160, hours: &officeHours, customers: true, one: fixed(rerankPrice, 1)},
		{key: "web", endpoint: "llm", perDay: 60, hours: &officeHours, customers: true, one: chat(12_000, 3_000)},
		{key: "mobile", endpoint: "rerank", perDay: 70, hours: &officeHours, one: fixed(rerankPrice, 1)},
		{key: "mobile", endpoint: "llm", perDay: 25, hours: &officeHours, one: chat(6_000, 1_500)},
		{key: "assistant", endpoint: "llm", perDay: 90, hours: &officeHours, one: chat(90_000, 25_000)},
		{key: "batch", endpoint: "rerank", perDay: 120, hours: &nightHours, one: fixed(rerankPrice, 0)},
		{key: "batch", endpoint: "ocr", perDay: 50, hours: &nightHours, one: pages},
		{key: "ci-bot", endpoint: "llm", perDay: 25, hours: &officeHours, one: chat(60_000, 8_000)},
		{key: "ci-bot", endpoint: "flaky", perDay: 30, hours: &officeHours, one: fixed(flakyPrice, 35)},
		{key: "old-portal", endpoint: "rerank", perDay: 40, hours: &officeHours, until: 5 * 24 * time.Hour, one: fixed(rerankPrice, 1)},
	}
}

// fixed is a request at a fixed price, of which so many in a hundred fail.
func fixed(price money.Nanos, failing int) func(*rand.Rand, *attempt) {
	return func(r *rand.Rand, a *attempt) {
		a.status, a.cost, a.price, a.units, a.took = 200, price, price, 1, millis(r, 40, 160)
		if r.IntN(100) < failing {
			a.status, a.cost, a.units = 503, 0, 0
		}
	}
}

func free(least, more time.Duration) func(*rand.Rand, *attempt) {
	return func(r *rand.Rand, a *attempt) {
		a.status, a.units, a.took = 200, 1, least+time.Duration(r.Int64N(int64(more)))
	}
}

func picture(r *rand.Rand, a *attempt) {
	fixed(briaWas, 0)(r, a)
	a.took = millis(r, 1_400, 2_600)
	if r.IntN(100) < 4 {
		a.status, a.cost, a.units, a.took = 422, 0, 0, millis(r, 20, 40)
	}
}

func refused(r *rand.Rand, a *attempt) {
	a.status, a.price, a.took = 401, tokenPrice, millis(r, 10, 30)
}

func pages(r *rand.Rand, a *attempt) {
	a.status, a.meter, a.took = 200, "ocr", millis(r, 300, 900)
	if r.IntN(100) < 8 { // the vendor did not say how many
		a.cost, a.price, a.unpriced = unknownCost, unknownCost, true
		return
	}
	a.units = 1 + r.Int64N(9)
	a.cost = money.Nanos(a.units) * pagePrice
	a.price, a.counts = max(a.cost, unknownCost), fmt.Sprintf("pages=%d", a.units)
}

func chat(prompt, answer int64) func(*rand.Rand, *attempt) {
	return func(r *rand.Rand, a *attempt) {
		in, out := prompt/4+r.Int64N(prompt*3/2), answer/4+r.Int64N(answer*3/2)
		a.status, a.model, a.meter, a.units = 200, chatModel, "chat", in+out
		a.cost = money.Nanos(in*promptNanos + out*answerNanos)
		a.price, a.counts = 2*a.cost, fmt.Sprintf("prompt=%d,completion=%d", in, out)
		a.took = millis(r, 700, 5_000)
	}
}

func millis(r *rand.Rand, least, more int64) time.Duration {
	return time.Duration(least)*time.Millisecond + time.Duration(r.Int64N(more*int64(time.Millisecond)))
}

// history is what was settled in the thirty days before a time, in order of time.
func history(end time.Time) []attempt {
	r := rand.New(rand.NewPCG(seed, seed))
	begin := end.Add(-historyDays * 24 * time.Hour)
	var all []attempt
	for _, s := range sources() {
		from, until := begin, end.Add(-s.until)
		if s.since > 0 {
			from = end.Add(-s.since)
		}
		for hour := begin; hour.Before(end); hour = hour.Add(time.Hour) {
			for range s.inHour(r, hour, begin) {
				a := attempt{at: hour.Add(time.Duration(r.Int64N(int64(time.Hour)))), key: s.key, endpoint: s.endpoint}
				s.one(r, &a)
				if s.customers {
					a.customer = customers[min(r.IntN(6), r.IntN(6))/2].name
				}
				binary.BigEndian.PutUint64(a.request[8:], r.Uint64())
				if !a.at.Before(from) && a.at.Before(until) {
					all = append(all, a)
				}
			}
		}
	}
	all = spendMarketing(r, all, end)
	slices.SortStableFunc(all, func(a, b attempt) int { return a.at.Compare(b.at) })
	for i := range all {
		all[i].stamp()
	}
	return all
}

// stamp makes the random bytes of the request's id one of the time at which the request began.
func (a *attempt) stamp() {
	milli := uint64(a.at.Add(-a.took).UnixMilli())
	binary.BigEndian.PutUint64(a.request[:], milli<<16|7<<12|uint64(a.request[9])<<4)
	a.request[8] = a.request[8]&0x3F | 0x80
}

// inHour is how many requests come in an hour: as many as its share of a day, fewer at weekends, and a few more each week.
func (s *source) inHour(r *rand.Rand, hour, begin time.Time) int {
	sum := 0.0
	for _, h := range s.hours {
		sum += h
	}
	day := 1.0
	switch hour.UTC().Weekday() {
	case time.Saturday:
		day = 0.35
	case time.Sunday:
		day = 0.25
	case time.Monday:
		day = 1.1
	default:
	}
	growth := 0.85 + 0.3*float64(hour.Sub(begin))/float64(historyDays*24*time.Hour)
	noise := 0.6 + 0.8*r.Float64()
	return int(s.perDay*s.hours[hour.UTC().Hour()]/sum*day*growth*noise + r.Float64())
}

// monthOf is the month in which a time is, as budgets of UTC count it.
func monthOf(at time.Time) (start, end time.Time) {
	at = at.UTC()
	start = time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	return start, start.AddDate(0, 1, 0)
}

// spendMarketing makes the team's key spend a round amount in this month, all that its budget has, and stop.
func spendMarketing(r *rand.Rand, all []attempt, end time.Time) []attempt {
	month, _ := monthOf(end)
	stop := end.Add(-min(36*time.Hour, end.Sub(month)/4))
	var sum money.Nanos
	all = slices.DeleteFunc(all, func(a attempt) bool { return a.key == "campaigns" && !a.at.Before(stop) })
	for i := range all {
		if a := &all[i]; a.key == "campaigns" && !a.at.Before(month) {
			sum += a.cost
		}
	}
	for sum < marketingLeast || sum%marketingStep != 0 {
		a := attempt{at: month, key: "campaigns", endpoint: "bria"}
		if width := stop.Sub(month); width > 0 {
			a.at = month.Add(time.Duration(r.Int64N(int64(width))))
		}
		for picture(r, &a); a.cost == 0; {
			picture(r, &a)
		}
		binary.BigEndian.PutUint64(a.request[8:], r.Uint64())
		all = append(all, a)
		sum += a.cost
	}
	return all
}
