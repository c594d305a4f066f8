package meter_test

import (
	"strings"
	"testing"

	"tollgate/internal/meter"
	"tollgate/internal/money"
)

// painted is priced by what the caller asks for alone: ten dollars an image, a hundred in "hd".
const painted = `
unmatched: refuse
fallback: "50"
meters:
- name: paint
  match: {methods: [POST]}
  model: [{request: model}, {form: model}, {constant: small}]
  counters:
  - {name: images, sources: [{request: n}, {form: n}, {query: n}], default: "1"}
  - {name: extras, sources: [{frame: extras}], optional: true}
  units: [{name: images}, {name: extras}]
  variant: [{request: quality}]
  prices:
  - {model: small, rates: [{unit: images, price: "10"}, {unit: images, price: "100", variant: hd}, {unit: extras, price: "1"}]}
  - {model: large, rates: [{unit: images, price: "1000"}, {unit: extras, price: "1"}]}
  hold: {bounds: [{unit: images, sources: [{request: n}, {form: n}], assume: "1"}, {unit: extras, times: {request: times}, assume: "1"}], least: "7"}
`

func typed(body, kind string) *meter.Request {
	r := post(body)
	r.Header = func(name string) string {
		if strings.EqualFold(name, "Content-Type") {
			return kind
		}
		return ""
	}
	return r
}

// Guarantee: a caller gets nothing cheaper by a body that the target reads and the gateway does not: what a price looks for in
// it is then not known, and never what stands for nothing.
func TestUnreadableRequestsAreUnpriced(t *testing.T) {
	t.Parallel()
	plan := parse(t, painted)
	cut := post(`{"n":9}` + strings.Repeat(" ", 100))
	cut.Body, cut.Whole = cut.Body[:50], false
	encoded := post(``)
	encoded.Whole, encoded.Length = false, 100
	coded := typed(``, "application/json")
	coded.Whole, coded.Length = false, -1
	form := typed("--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\nxxxxxxxxxxxxxxxxxxxxxx", "multipart/form-data; boundary=b")
	form.Whole = false
	for name, r := range map[string]*meter.Request{
		"not whole":          cut,
		"not decoded":        encoded,
		"of unknown length":  coded,
		"no JSON":            post(`{"n":9,"x":NaN}`),
		"another encoding":   typed("\xff\xfe{\x00}\x00", "application/json"),
		"two documents":      post(`{} {"n":9}`),
		"called something":   typed(`{"n":9,"x":NaN}`, "application/octet-stream"),
		"a cut form":         form,
		"a form with errors": typed("n=9;x=1&%zz", "application/x-www-form-urlencoded"),
		"quoted":             post(`{"n":"9"}`),
		"with underscores":   typed("n=1_0", "application/x-www-form-urlencoded"),
		"negative":           post(`{"n":-9}`),
		"huge":               post(`{"n":1e30}`),
		"a list of texts":    post(`{"n":["9"]}`),
	} {
		b := play(t, plan, r, said(`{}`))
		if len(b.Unpriced) == 0 || b.Cost < 50*money.Dollar {
			t.Errorf("%s: %s, %q", name, b.Cost, b.Unpriced)
		}
		h := plan.Match(r).Hold(r, nil)
		if name == "huge" && h.Amount > 50*money.Dollar {
			continue // a number above all is one all the same
		}
		if h.Bound || h.Amount != 50*money.Dollar {
			t.Errorf("%s: held %s: %s", name, h.Amount, h.Reason)
		}
	}
	for name, r := range map[string]*meter.Request{
		"nothing":      post(``),
		"an object":    post(`{"x":1}`),
		"null":         post(`{"n":null,"quality":null}`),
		"a form":       typed("x=1", "application/x-www-form-urlencoded"),
		"parts":        typed("--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b--\r\n", "multipart/form-data; boundary=b"),
		"other things": typed("RIFF....", "audio/wav"),
		"a polyglot":   typed(`{"model":"&model=small&"}`, "application/x-www-form-urlencoded"),
	} {
		if b := play(t, plan, r, said(`{}`)); len(b.Unpriced) > 0 || b.Cost != 10*money.Dollar {
			t.Errorf("%s: %s, %q", name, b.Cost, b.Unpriced)
		}
	}
	if b := play(t, plan, typed(`{"model":"&model=large&x="}`, "application/x-www-form-urlencoded"), said(`{}`)); b.Cost != 1000*money.Dollar {
		t.Errorf("a form that is JSON as well: %s", b.Cost)
	}
	times := post(`{"n":2,"times":"3"}`)
	if h := plan.Match(times).Hold(times, nil); h.Bound {
		t.Errorf("held %s: %s", h.Amount, h.Reason)
	}
}

// Guarantee: what an answer may say and nobody can read is not taken for nothing, whatever the target calls it.
func TestUnreadableAnswersAreUnpriced(t *testing.T) {
	t.Parallel()
	plan := parse(t, painted)
	for kind, body := range map[string]string{
		"text/plain": `{"extras":5}`, "application/octet-stream": `{"extras":5}`, "text/event-stream": `{"extras":5}`, "image/png": "PNG",
	} {
		a := &answer{headers: map[string]string{"Content-Type": kind}, body: []byte(body)}
		if b := play(t, plan, post(`{}`), a); len(b.Unpriced) == 0 || b.Cost != 60*money.Dollar {
			t.Errorf("%s: %s, %q", kind, b.Cost, b.Unpriced)
		}
		a.body = nil
		if b := play(t, plan, post(`{}`), a); len(b.Unpriced) > 0 || b.Cost != 10*money.Dollar {
			t.Errorf("%s without a body: %s, %q", kind, b.Cost, b.Unpriced)
		}
	}
}

// Guarantee: what a price looks at is not there twice: the target could take the other value.
func TestDoubledValues(t *testing.T) {
	t.Parallel()
	plan := parse(t, painted+`  inject: [{field: stream_options.include_usage, value: "true"}]
`)
	for body, want := range map[string]string{
		`{"n":1,"n":9}`:                   "field n",
		`{"n":1,"x":{"n":2}}`:             "",
		`{"n":1,"\u006e":9}`:              "field n",
		`{"x":[{"model":1},{"model":2}]}`: "",
		`{"x":[{"model":1,"model":2}]}`:   "field model",
		`{"n":1 , "n"` + "\n" + `:9}`:     "field n",
		`{"x":"n","y":"n","n":1}`:         "",
		`["n","n"]`:                       "",
		`{"\\":"\"n\":1","n":"\\\""}`:     "",
		`{"stream_options":{},"stream_options":{"include_usage":false}}`: "field stream_options",
	} {
		r := post(body)
		if got := plan.Match(r).Doubled(r); got != want {
			t.Errorf("%s: %q", body, got)
		}
	}
	for body, want := range map[string]string{"n=1&n=9": "form field n", "n=1&n=1": "", "n=1&m=2": ""} {
		r := typed(body, "application/x-www-form-urlencoded")
		if got := plan.Match(r).Doubled(r); got != want {
			t.Errorf("%s: %q", body, got)
		}
		r = post(``)
		r.Query = body
		if got := plan.Match(r).Doubled(r); got != strings.Replace(want, "form field", "query parameter", 1) {
			t.Errorf("?%s: %q", body, got)
		}
	}
}

// Guarantee: looking for what is there twice costs no more than its body, however deep or wide that is.
func TestDoubledInLargeBodies(t *testing.T) {
	t.Parallel()
	plan := parse(t, painted)
	for _, body := range []string{
		strings.Repeat("[", 16<<20),
		`{"x":` + strings.Repeat(`{"n":`, 500) + `1` + strings.Repeat(`}`, 500) + `}`,
		`{` + strings.Repeat(`"\u006e\\\"":[{},[]],`, 200_000) + `"n":1}`,
	} {
		r := post(body)
		if got := plan.Match(r).Doubled(r); got != "" {
			t.Errorf("%.20s: %q", body, got)
		}
	}
}

// Guarantee: a job whose end nobody can price stays at what was charged when it began, where that is what is charged for what is
// not known: it is not refunded.
func TestJobsThatCannotBePricedStay(t *testing.T) {
	t.Parallel()
	for fallback, asBegun := range map[string]bool{"held": true, `"0.05"`: false} {
		plan := parse(t, `
unmatched: refuse
fallback: `+fallback+`
meters:
- name: told
  counters: [{name: n, sources: [{frame: n}]}]
  units: [{name: n}]
  prices: [{model: "*", rates: [{unit: n, price: "1"}]}]
  job: {tells: true, id: [{frame: id}], done: [{source: {frame: done}}]}
`)
		b := play(t, plan, &meter.Request{Method: "GET"}, said(`{"id":"j","done":true}`))
		if b.Job == nil || b.Job.AsBegun != asBegun || len(b.Unpriced) == 0 {
			t.Errorf("%s: %+v, %+v", fallback, b, b.Job)
		}
		if b = play(t, plan, &meter.Request{Method: "GET"}, said(`{"id":"j","done":true,"n":0}`)); b.Job.AsBegun || b.Cost != 0 || len(b.Unpriced) > 0 {
			t.Errorf("%s: %+v, %+v", fallback, b, b.Job)
		}
	}
}

// Guarantee: what comes from the target is the target's, also where its messages have the mask that only callers' have.
func TestMaskedMessagesOfTargets(t *testing.T) {
	t.Parallel()
	plan := parse(t, `
unmatched: refuse
fallback: held
meters:
- name: talk
  match: {websocket: true}
  counters: [{name: n, sources: [{frame: n}], optional: true}, {name: asked, sources: [{request: n}], optional: true}]
  units: [{name: n}]
  prices: [{model: "*", rates: [{unit: n, price: "1"}]}]
  hold: {least: "1"}
`)
	r := &meter.Request{Method: "GET", WebSocket: true, Length: -1}
	for _, masked := range []bool{false, true} {
		b := play(t, plan, r, &answer{status: 101, body: message([]byte(`{"n":5}`), masked)})
		if b.Cost != 5*money.Dollar || b.Counts != "n=5" {
			t.Errorf("masked %v: %s, %q, %q", masked, b.Cost, b.Counts, b.Unpriced)
		}
	}
}
