package meter

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
)

// compiler makes a meter and says what is wrong with it. Checking is compiling, so that a price that is found right
// can always be used.
type compiler struct {
	problems
	m          *Meter
	where      string // field of the meter
	counterIDs map[string]int
	unitIDs    map[string]int
}

func compile(p *controlv1.Metered, book Book) (*Plan, problems) {
	c := &compiler{}
	plan := &Plan{}
	switch p.GetUnmatched() {
	case "refuse":
		plan.Unmatched = Refuse
	case "free":
		plan.Unmatched = Free
	case "unpriced":
		plan.Unmatched = Unpriced
	default:
		c.say("unmatched", `say what happens to requests that no meter reads: "refuse", "free" or "unpriced"`)
	}
	switch s := p.GetFallback(); s {
	case "":
		c.say("fallback", `say what is charged where a cost is not known: a decimal such as "0.05", or "held"`)
	case "held":
		plan.fallback.held = true
		if plan.Unmatched == Unpriced {
			c.say("fallback", `nothing is held for requests that no meter reads, so that with unmatched: unpriced it has to be a decimal`)
		}
	default:
		if d := c.price("fallback", s); d != nil {
			plan.fallback.amount = nanosOf(*d)
		}
	}
	if len(p.GetMeters()) == 0 {
		c.say("meters", "at least one is needed")
	}
	names := map[string]bool{}
	for i, m := range p.GetMeters() {
		c.where = at("meters", i)
		if names[m.GetName()] {
			c.say(c.where+".name", "there already is a meter %q", m.GetName())
		}
		names[m.GetName()] = true
		c.reachable(p.GetMeters()[:i], m)
		made := c.meter(m, book)
		made.fallback = plan.fallback
		plan.meters = append(plan.meters, made)
	}
	return plan, c.problems
}

func errorOf(p problems) error {
	if len(p) == 0 {
		return nil
	}
	texts := make([]string, 0, len(p))
	for _, one := range p {
		texts = append(texts, one.Field+": "+one.Reason)
	}
	return errors.New(strings.Join(texts, "; "))
}

// reachable says it if an earlier meter reads all that this one could.
func (c *compiler) reachable(before []*controlv1.Meter, m *controlv1.Meter) {
	mine := m.GetMatch()
	for i, o := range before {
		other := o.GetMatch()
		if other.GetWebsocket() != mine.GetWebsocket() {
			continue
		}
		if other.GetPath() != "" && other.GetPath() != mine.GetPath() {
			continue
		}
		if all := len(other.GetMethods()) == 0; !all && (len(mine.GetMethods()) == 0 ||
			slices.ContainsFunc(mine.GetMethods(), func(s string) bool { return !slices.Contains(other.GetMethods(), s) })) {
			continue
		}
		c.say(c.where+".match", "this meter reads nothing: meters[%d] is asked before and matches all that it does", i)
		return
	}
}

func (c *compiler) meter(p *controlv1.Meter, book Book) *Meter {
	m := &Meter{Name: p.GetName(), Free: p.GetFree()}
	c.m = m
	if !meterName.MatchString(m.Name) {
		c.say(c.where+".name", "a name is of a-z, 0-9, _ and -, such as chat")
	}
	c.match(p.GetMatch())
	if m.Free {
		bare := &controlv1.Meter{Name: p.GetName(), Match: p.GetMatch(), Free: true}
		if !proto.Equal(p, bare) {
			c.say(c.where+".free", "what a free meter matches is not read: nothing but name and match can be set beside it")
		}
		return m
	}
	m.modelTexts = c.texts("model", p.GetModel())
	c.renames(p)
	c.counters(p.GetCounters())
	c.units(p.GetUnits())
	m.variantTexts = c.texts("variant", p.GetVariant())
	c.prices(p, book)
	for i, name := range p.GetTier() {
		if id, ok := c.counterIDs[name]; ok {
			m.tier = append(m.tier, id)
		} else {
			c.say(at(c.where+".tier", i), "there is no counter %q", name)
		}
	}
	c.amounts(p)
	m.charge = c.charge(c.where+".charge", p.GetCharge(), false)
	c.job(p.GetJob())
	c.hold(p.GetHold())
	c.injections(p.GetInject())
	c.useful()
	m.finish()
	return m
}

func (c *compiler) match(p *controlv1.MeterMatch) {
	field := c.where + ".match"
	c.m.webSocket = p.GetWebsocket()
	c.m.methods = p.GetMethods()
	for i, method := range c.m.methods {
		if !methodName.MatchString(method) {
			c.say(at(field+".methods", i), "%q is no method; they are upper case", method)
		}
	}
	if p.GetPath() != "" {
		if re := c.pattern(field+".path", p.GetPath()); re != nil {
			c.m.path = newPattern(re)
			c.m.loose = caseless(p.GetPath())
		}
	}
}

func (c *compiler) renames(p *controlv1.Meter) {
	c.m.models, c.m.variants = p.GetModels(), p.GetVariants()
	for name, as := range c.m.models {
		if name == "" || as == "" {
			c.say(c.where+".models", "a name is empty: %q: %q", name, as)
			return
		}
	}
}

// source makes a source. early says that it has to be known before the request is sent.
func (c *compiler) source(field string, p *controlv1.Source, early bool) source {
	s := source{event: p.GetEvent()}
	switch place := p.GetPlace().(type) {
	case *controlv1.Source_Frame:
		s.place, s.name, s.text = inFrame, place.Frame, "frame "+place.Frame
		c.path(field+".frame", s.name)
	case *controlv1.Source_Header:
		s.place, s.name, s.text = inHeader, place.Header, "header "+place.Header
		c.named(field+".header", s.name)
	case *controlv1.Source_Trailer:
		s.place, s.name, s.text = inTrailer, place.Trailer, "trailer "+place.Trailer
		c.named(field+".trailer", s.name)
	case *controlv1.Source_Request:
		s.place, s.name, s.text = inRequest, place.Request, "request "+place.Request
		c.path(field+".request", s.name)
		if c.m.webSocket && !early {
			s.place = inMessage
		}
	case *controlv1.Source_Form:
		s.place, s.name, s.text = inForm, place.Form, "form "+place.Form
	case *controlv1.Source_Query:
		s.place, s.name, s.text = inQuery, place.Query, "query "+place.Query
	case *controlv1.Source_Path:
		s.place, s.name, s.text = inPath, place.Path, "path "+place.Path
		if s.re = c.pattern(field+".path", s.name); s.re != nil && s.re.NumSubexp() != 1 {
			c.say(field+".path", "it has %d groups; one is needed, whose text is the value", s.re.NumSubexp())
		}
	case *controlv1.Source_Constant:
		s.place, s.name, s.text = constant, place.Constant, "constant "+place.Constant
	case *controlv1.Source_Measure:
		s.place, s.name, s.text = measure, place.Measure, "measure "+place.Measure
		if !slices.Contains([]string{requestBytes, responseBytes, seconds, frames}, s.name) {
			c.say(field+".measure", "%q is none of request_bytes, response_bytes, seconds and frames", s.name)
		}
	case *controlv1.Source_RequestHeader:
		s.place, s.name, s.text = inRequestHeader, place.RequestHeader, "request_header "+place.RequestHeader
		c.named(field+".request_header", s.name)
	default:
		c.say(field, "say where: frame, header, trailer, request, form, query, path, constant, measure or request_header")
	}
	if s.name == "" && s.place != 0 && s.place != inFrame && s.place != inRequest && s.place != inMessage {
		c.say(field, "it is empty")
	}
	if s.event != "" {
		s.text += " of " + s.event
		if s.place != inFrame && s.place != inMessage && (s.place != measure || s.name != frames) {
			c.say(field+".event", "only frames have one")
		}
	}
	if early && s.place != 0 && !s.early() && (s.place != measure || s.name != requestBytes) {
		c.say(field, "that is not known before the request is sent")
	}
	c.looked(&s, early)
	return s
}

// looked notes what the meter has to be shown for a source.
func (c *compiler) looked(s *source, early bool) {
	m := c.m
	m.wanted.note(s)
	if early && s.place == measure {
		return // that is the length of the request
	}
	switch s.place {
	case inFrame:
		s.path = m.frames.index(s.name)
		m.late.frames = true
	case inMessage:
		s.path = m.messages.index(s.name)
		m.late.other = true
	case inRequest, inForm:
		m.wantsBody = true
	case inTrailer:
		m.late.other = true
	case inHeader, inQuery, inPath, inRequestHeader, constant:
	case measure:
		m.late.other = true
		m.measures = true
		if s.name == frames && s.event != "" {
			if s.path = slices.Index(m.events, s.event); s.path < 0 {
				s.path = len(m.events)
				m.events = append(m.events, s.event)
			}
		}
	}
}

func (c *compiler) path(field, path string) {
	if reason := pathReason(path); reason != "" {
		c.say(field, "%s", reason)
		c.mistaken(BadPath)
	}
}

func (c *compiler) named(field, name string) {
	if !headerName.MatchString(name) {
		c.say(field, "%q is no name of a header", name)
	}
}

// texts makes the slots of texts of which the first that is there counts.
func (c *compiler) texts(field string, sources []*controlv1.Source) (slots []int) {
	for i, p := range sources {
		s := c.source(at(c.where+"."+field, i), p, false)
		slots = append(slots, len(c.m.texts))
		c.m.texts = append(c.m.texts, s)
	}
	return slots
}

// conditions makes the slots of conditions.
func (c *compiler) conditions(field string, list []*controlv1.Condition) (slots []int) {
	for i, p := range list {
		one := c.condition(at(field, i), p, false)
		slots = append(slots, len(c.m.conditions))
		c.m.conditions = append(c.m.conditions, one)
	}
	return slots
}

func (c *compiler) condition(field string, p *controlv1.Condition, early bool) condition {
	return condition{source: c.source(field+".source", p.GetSource(), early), in: p.GetIn()}
}

func (c *compiler) charge(field string, p *controlv1.Charge, sugar bool) charge {
	out := charge{statuses: p.GetStatuses(), methods: p.GetMethods(), sugar: sugar}
	for i, s := range out.statuses {
		if !statusName.MatchString(s) {
			c.say(at(field+".statuses", i), `%q is none: "200", "4xx" or "any"`, s)
		}
	}
	if !sugar && len(out.methods) > 0 {
		c.say(field+".methods", "a meter says in its match which methods it reads")
	}
	for i, s := range out.methods {
		if !methodName.MatchString(s) {
			c.say(at(field+".methods", i), "%q is no method; they are upper case", s)
		}
	}
	out.onlyIf = c.conditions(field+".only_if", p.GetOnlyIf())
	out.unless = c.conditions(field+".unless", p.GetUnless())
	return out
}

func (c *compiler) job(p *controlv1.Job) {
	if p == nil {
		return
	}
	field := c.where + ".job"
	j := &job{begins: p.GetBegins(), tells: p.GetTells(), ttl: time.Duration(p.GetTtlSeconds()) * time.Second}
	if !j.begins && !j.tells {
		c.say(field, "say whether this meter reads requests that begin jobs (begins) or that tell of them (tells), or both")
	}
	if len(p.GetId()) == 0 {
		c.say(field+".id", "say where the id of the job is")
	}
	j.ids = c.texts("job.id", p.GetId())
	j.done = c.conditions(field+".done", p.GetDone())
	j.failed = c.conditions(field+".failed", p.GetFailed())
	if j.tells && len(j.done) == 0 {
		c.say(field+".done", "say of which answers the job is done")
	}
	if !j.tells && len(j.done)+len(j.failed) > 0 {
		c.say(field, "done and failed are looked at where tells is set")
	}
	const mostTTL = 2592000
	if s := p.GetTtlSeconds(); s < 0 || s > mostTTL {
		c.say(field+".ttl_seconds", "it is between 0 and %d", mostTTL)
	}
	j.ttl = cmp.Or(j.ttl, standardTTL)
	switch p.GetExpired() {
	case "", "held":
	case "nothing":
		j.free = true
	default:
		c.say(field+".expired", `it is "held" or "nothing"`)
	}
	c.m.job = j
}

func (c *compiler) injections(list []*controlv1.Injection) {
	seen := map[string]bool{}
	for i, p := range list {
		field := at(c.where+".inject", i)
		if !plainField.MatchString(p.GetField()) {
			c.say(field+".field", "it is made of plain names, such as stream_options.include_usage")
		}
		if seen[p.GetField()] {
			c.say(field+".field", "%q is set twice", p.GetField())
		}
		seen[p.GetField()] = true
		if len(p.GetValue()) == 0 || !gjson.Valid(p.GetValue()) {
			c.say(field+".value", "%q is no JSON", p.GetValue())
		}
		if s := p.GetStrip(); s != "" && s != "usage_only" {
			c.say(field+".strip", `it is "usage_only" or empty`)
		}
		if c.m.webSocket {
			c.say(field, "a WebSocket has no body to set a field in")
		}
		in := injection{edit: Edit{Path: p.GetField(), Value: p.GetValue(), Strip: p.GetStrip()}}
		if p.GetWhen() != nil {
			when := c.condition(field+".when", p.GetWhen(), true)
			in.when = &when
		}
		c.m.wantsBody = true
		c.m.wanted.path(p.GetField())
		c.m.injections = append(c.m.injections, in)
	}
}
