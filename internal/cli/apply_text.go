package cli

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// changeCount is how many objects are created, changed and deleted.
type changeCount struct{ created, changed, deleted, same int }

func countChanges(all []*controlv1.ConfigChange) (n changeCount) {
	for _, c := range all {
		switch c.GetChange() {
		case controlv1.ChangeKind_CHANGE_KIND_CREATE:
			n.created++
		case controlv1.ChangeKind_CHANGE_KIND_UPDATE:
			n.changed++
		case controlv1.ChangeKind_CHANGE_KIND_DELETE:
			n.deleted++
		default:
			n.same++
		}
	}
	return n
}

func (n changeCount) any() bool { return n.created+n.changed+n.deleted > 0 }

func (n changeCount) sentence(created, changed, deleted string) string {
	if !n.any() {
		return "nothing to do"
	}
	return fmt.Sprintf("%d %s, %d %s, %d %s", n.created, created, n.changed, changed, n.deleted, deleted)
}

// kindWord is how people call a kind.
func kindWord(kind string) string {
	if kind == "model_price" {
		return "price"
	}
	return kind
}

// changeSigns are what stands before each change, and its colour.
var changeSigns = map[controlv1.ChangeKind]struct{ sign, colour string }{
	controlv1.ChangeKind_CHANGE_KIND_CREATE: {"+", green},
	controlv1.ChangeKind_CHANGE_KIND_UPDATE: {"~", yellow},
	controlv1.ChangeKind_CHANGE_KIND_DELETE: {"-", red},
	controlv1.ChangeKind_CHANGE_KIND_NONE:   {"=", ""},
}

// printChanges writes a plan: a line for each object for people, and what the server said for programs.
func (a *app) printChanges(data any, all []*controlv1.ConfigChange, notes []*controlv1.ConfigNote) error {
	for _, n := range notes {
		place := n.GetFile()
		if n.GetLine() > 0 {
			place += fmt.Sprintf(":%d", n.GetLine())
		}
		level := strings.ToLower(strings.TrimPrefix(n.GetLevel().String(), "NOTE_LEVEL_"))
		a.say("%s: %s: %s: %s", place, level, first(n.GetPath(), "file"), n.GetText())
	}
	if !a.forPeople() {
		r := result{data: data, table: table{head: []string{"CHANGE", "KIND", "NAME", "FIELDS"}}}
		for _, c := range all {
			r.names = append(r.names, kindWord(c.GetKind())+"/"+c.GetName())
			r.table.add(changeSigns[c.GetChange()].sign, kindWord(c.GetKind()), c.GetName(), fieldText(c))
		}
		return a.print(r)
	}
	var out strings.Builder
	for _, c := range all {
		s := changeSigns[c.GetChange()]
		line := fmt.Sprintf("%s %s %s", s.sign, kindWord(c.GetKind()), c.GetName())
		if s.colour != "" {
			line = a.paint(s.colour, line)
		}
		out.WriteString(line)
		if c.GetChange() == controlv1.ChangeKind_CHANGE_KIND_UPDATE {
			writeFields(&out, c)
		}
		if c.GetDrift() {
			out.WriteString("  (changed by other means since it was applied)")
		}
		out.WriteString("\n")
	}
	_, err := fmt.Fprint(a.Stdout, out.String())
	return err
}

func writeFields(out *strings.Builder, c *controlv1.ConfigChange) {
	for i, f := range c.GetFields() {
		if len(c.GetFields()) > 1 {
			out.WriteString("\n   ")
		}
		out.WriteString("  " + oneField(f))
		if i == 0 && c.GetEffect() != "" {
			out.WriteString(" (" + c.GetEffect() + ")")
		}
	}
}

func oneField(f *controlv1.ConfigFieldChange) string {
	if f.GetBefore() == "(changed)" {
		return f.GetPath() + " (changed)"
	}
	return fmt.Sprintf("%s %s → %s", f.GetPath(), first(f.GetBefore(), "none"), first(f.GetAfter(), "none"))
}

func fieldText(c *controlv1.ConfigChange) string {
	if c.GetChange() != controlv1.ChangeKind_CHANGE_KIND_UPDATE {
		return "-"
	}
	words := make([]string, len(c.GetFields()))
	for i, f := range c.GetFields() {
		words[i] = oneField(f)
	}
	return strings.Join(words, "; ")
}

// keyFile is where the secrets of new keys go. It is opened before keys are made, so that none is lost.
type keyFile struct{ file *os.File }

func makesKeys(all []*controlv1.ConfigChange) bool {
	return slices.ContainsFunc(all, func(c *controlv1.ConfigChange) bool {
		return c.GetChange() == controlv1.ChangeKind_CHANGE_KIND_CREATE && c.GetKind() == "key"
	})
}

func (a *app) openKeys(name string) (keyFile, error) {
	if name == "" {
		return keyFile{}, nil
	}
	f, err := os.OpenFile(a.path(name), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return keyFile{}, fault.New(fault.InvalidArgument, "The file for keys cannot be created: %v.", err).WithHint("Name one that is not there yet.")
	}
	return keyFile{f}, nil
}

// drop removes the file again where no key was made.
func (k keyFile) drop() error {
	if k.file == nil {
		return nil
	}
	_ = k.file.Close()
	return os.Remove(k.file.Name())
}

// write writes a line NAME=SECRET for each key.
func (k keyFile) write(keys map[string]string) error {
	if k.file == nil {
		return nil
	}
	if len(keys) == 0 {
		return k.drop()
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if _, err := fmt.Fprintf(k.file, "%s=%s\n", name, keys[name]); err != nil {
			return fmt.Errorf("write keys: %w", err)
		}
	}
	return k.file.Close()
}
