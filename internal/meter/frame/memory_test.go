package frame_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"tollgate/internal/meter/frame"
)

// endless gives the pieces of a body that goes on as long as it is asked for: beginning, the middle again and again.
type endless struct {
	name          string
	kind          frame.Kind
	begin, middle string
}

var bodies = []endless{
	// Each piece ends within an event: between two the memory goes back to a pool, which forgets some while races are looked for.
	{"events", frame.Events, chunk[:10], strings.Repeat(chunk[10:]+chunk[:10], 100)},
	{"one line of data", frame.Events, `data: {"a":"`, strings.Repeat("0123456789abcdef", 2048)},
	{"one text that is asked for", frame.JSON, `{"model":"`, strings.Repeat("0123456789abcdef", 2048)},
	{"one array", frame.JSON, `{"a":[1`, strings.Repeat(`,-0.01234567,{"b":"c"}`, 1000)},
	{"one array that is asked for", frame.JSON, `{"usage":{"prompt_tokens":[1`, strings.Repeat(`,-0.01234567,{"b":"c"}`, 1000)},
	{"one name", frame.JSON, `{"`, strings.Repeat("0123456789abcdef", 2048)},
	{"names again and again", frame.JSON, `{"model":"x"`, strings.Repeat(`,"model":"y","service_tier":"z"`, 1000)},
	{"the elements of an array", frame.JSON, `[{}`, strings.Repeat(`,{"model":"x","b":"c"}`, 1000)},
	{"lines", frame.Lines, "", strings.Repeat(`{"model":"x","b":"c"}`+"\n", 1000)},
	{"a name of an event", frame.Events, "event: ", strings.Repeat("0123456789abcdef", 2048)},
}

// run reads size bytes of it and returns how much memory was taken meanwhile.
func (e endless) run(p *frame.Paths, size int) (taken uint64) {
	var before, after runtime.MemStats
	middle := []byte(e.middle)
	s := frame.New(e.kind, "", p, func(*frame.Frame) {})
	s.Write([]byte(e.begin))
	for range 5 << 18 / len(middle) { // what it may keep, it has now
		s.Write(middle)
	}
	runtime.ReadMemStats(&before)
	for range size / len(middle) {
		s.Write(middle)
	}
	runtime.ReadMemStats(&after)
	s.End(false)
	return after.TotalAlloc - before.TotalAlloc
}

// Guarantee: a stream takes no more memory the longer it gets, whatever it is made of.
func TestMemoryDoesNotGrow(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	p := paths(t, usage...)
	for _, e := range bodies {
		if taken := e.run(p, 2<<20); taken > 64<<10 {
			t.Errorf("%s: %d bytes were taken", e.name, taken)
		}
	}
}

// Guarantee: reading a frame takes no memory that was not taken for the ones before it.
func TestFramesTakeNoMemory(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	p := paths(t, usage...)
	text := chunk + "event: done\ndata: {\"type\":\"x\",\"usage\":{\"prompt_tokens\":7}}\n\n"
	body := []byte(text[10:] + text[:10]) // for the same reason as above
	var tokens int
	s := frame.New(frame.Events, "", p, func(f *frame.Frame) { tokens += strings.Count(f.Event, "done") })
	defer s.End(true)
	s.Write([]byte(text[:10]))
	if n := testing.AllocsPerRun(1000, func() { s.Write(body) }); n != 0 {
		t.Errorf("%v allocations per piece", n)
	}
	if tokens == 0 {
		t.Error("no frame was seen")
	}
}

// Guarantee: a small body that stands for a large one is read in bounded memory.
func TestABombTakesNoMemory(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	p := paths(t, usage...)
	for _, c := range codings {
		if strings.EqualFold(c.name, "deflate") || c.name == "x-gzip" { // as gzip, around the same
			continue
		}
		part := strings.Repeat("0", 1<<20)
		bomb := encode(c.to, append([]string{`{"a":"`}, strings.Split(strings.Repeat(part+" ", 16), " ")...)...)
		bomb = append(bomb, "")
		var before, after runtime.MemStats
		run := func() (trouble string) {
			s := frame.New(frame.JSON, c.name, p, func(*frame.Frame) {})
			for _, piece := range bomb {
				s.Write([]byte(piece))
			}
			s.End(true)
			return s.Trouble()
		}
		run()
		runtime.ReadMemStats(&before)
		if trouble := run(); trouble != "the document broke off" {
			t.Errorf("%s: %s", c.name, trouble)
		}
		runtime.ReadMemStats(&after)
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 12<<20 { // what they may refer back to
			t.Errorf("%s: %d bytes were taken for %s", c.name, taken, fmt.Sprint(len(strings.Join(bomb, ""))))
		}
	}
}
