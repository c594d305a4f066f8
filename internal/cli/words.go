package cli

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
)

// words is a setting of several parts in the text of one flag: what it begins with, then words such as
// "interval=10s" and "any-method", in any order. The first mistake is kept and told by err.
type words struct {
	cmd   *cobra.Command
	flag  string
	first string
	given map[string]string
	err   error
}

// readWords takes text apart. known are the words that it may have; those that end in "=" need a value.
// With first, the text begins with something that is none of them.
func readWords(cmd *cobra.Command, flag, text string, first bool, known ...string) *words {
	w := &words{cmd: cmd, flag: flag, given: map[string]string{}}
	fields := strings.Fields(text)
	if first && len(fields) > 0 {
		w.first, fields = fields[0], fields[1:]
	}
	name, _, valued := strings.Cut(w.first, "=")
	if valued {
		name += "="
	}
	switch _, form, _ := strings.Cut(cmd.Flag(flag).Usage, "'"); {
	case first && w.first == "":
		w.fail("is empty; write it as %s", form[:strings.IndexByte(form, '\'')])
	case slices.Contains(known, name):
		w.fail("begins with %q; write it as %s", w.first, form[:strings.IndexByte(form, '\'')])
	}
	for _, f := range fields {
		name, value, valued := strings.Cut(f, "=")
		word := name
		if valued {
			word += "="
		}
		_, twice := w.given[name]
		switch {
		case !slices.Contains(known, word):
			w.fail("has %q; it may have %s", f, strings.Join(known, ", "))
		case twice:
			w.fail("has %s twice", name)
		case valued && value == "":
			w.fail("has no value for %s", name)
		}
		w.given[name] = value
	}
	return w
}

func (w *words) fail(format string, args ...any) {
	if w.err == nil {
		w.err = usage(w.cmd, "--"+w.flag+" "+format+".", args...)
	}
}

func (w *words) has(name string) bool {
	_, ok := w.given[name]
	return ok
}

// number is a whole number that is not negative; 0 if it is not given.
func (w *words) number(name string) uint32 {
	text, ok := w.given[name]
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		w.fail("has %s=%s, which is not a whole number", name, text)
	}
	return uint32(n)
}

// units of sizes.
var units = []struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}}

// size is a number of bytes, such as 65536 or 64KiB.
func (w *words) size(name string) int64 {
	text, ok := w.given[name]
	if !ok {
		return 0
	}
	unit := int64(1)
	digits := text
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			digits, unit = rest, u.size
		}
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		w.fail("has %s=%s, which is not a number of bytes such as 65536, 64KiB or 1MiB", name, text)
	}
	return int64(n) * unit
}

// duration is a time such as 10s; nil if it is not given.
func (w *words) duration(name string) *durationpb.Duration {
	text, ok := w.given[name]
	if !ok {
		return nil
	}
	return w.time(text)
}

func (w *words) time(text string) *durationpb.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		w.fail("has %q, which is not a time such as 10s or 500ms", text)
	}
	return durationpb.New(d)
}

// numbers are separated by commas.
func (w *words) numbers(name string) []uint32 {
	text, ok := w.given[name]
	if !ok {
		return nil
	}
	var out []uint32
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(part), 10, 16)
		if err != nil {
			w.fail("has %s=%s, which is no list of numbers", name, text)
			return nil
		}
		out = append(out, uint32(n))
	}
	return out
}

// phrase writes words of what is set, for people.
type phrase []string

func (s *phrase) add(name string, value string, set bool) {
	if set {
		*s = append(*s, name+value)
	}
}

func (s *phrase) number(name string, n uint32) {
	s.add(name+"=", strconv.FormatUint(uint64(n), 10), n != 0)
}

// size is written in the largest unit that it is a whole number of.
func (s *phrase) size(name string, n int64) {
	text := strconv.FormatInt(n, 10)
	for _, u := range units {
		if n%u.size == 0 {
			text = strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	s.add(name+"=", text, n != 0)
}

func (s *phrase) duration(name string, d *durationpb.Duration) {
	if d != nil {
		s.add(name+"=", d.AsDuration().String(), true)
	}
}

func (s *phrase) numbers(name string, list []uint32) {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.FormatUint(uint64(n), 10)
	}
	s.add(name+"=", strings.Join(texts, ","), len(list) > 0)
}

func (s phrase) String() string { return strings.Join(s, " ") }
