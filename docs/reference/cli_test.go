package reference_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tollgate/internal/gobuild"
)

// Guarantee: the page on the command line has every command with the help that it prints, flags and
// their defaults included.
func TestCommandLine(t *testing.T) {
	c := &commandLine{t: t, binary: filepath.Join(t.TempDir(), "tollgate"), helps: map[string]string{}, ran: map[string]string{}}
	if err := gobuild.Build(t.Context(), c.binary, gobuild.Tollgate); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`# Command line

What ` + "`tollgate COMMAND --help`" + ` prints, for every command; flags that all commands have stand under the first. What the roles can be told is in [settings](settings.md).
`)
	c.write(&b, nil)
	for _, topic := range []string{"environment", "contexts", "formatting", "filters", "exit-codes"} {
		fmt.Fprintf(&b, "\n## tollgate help %s\n\n```\n%s\n```\n", topic, strings.TrimRight(c.run("help", topic), "\n"))
	}
	fresh(t, "cli.md", b.String())

	// Guarantee: every command that a page shows exists, with the flags that it shows.
	c.checkExamples()
}

// commandLine asks the program itself, so that the page shows what people see.
type commandLine struct {
	t      *testing.T
	binary string
	helps  map[string]string // by command: "key create"
	ran    map[string]string // what it printed, by its arguments
}

func (c *commandLine) write(b *strings.Builder, path []string) {
	c.t.Helper()
	name := strings.Join(append([]string{"tollgate"}, path...), " ")
	help := c.run(append(path[:len(path):len(path)], "--help")...)
	c.helps[strings.Join(path, " ")] = help
	// The flags that all commands share stand at the first one.
	shown, _, _ := strings.Cut(help, "\nGlobal Flags:")
	fmt.Fprintf(b, "\n## %s\n\n```\n%s\n```\n", name, strings.TrimRight(shown, "\n"))
	if !strings.Contains(help, " [command]\n") { // it has none below it
		return
	}
	for _, sub := range c.commandsOf(path) {
		c.write(b, append(path[:len(path):len(path)], sub))
	}
}

// commandsOf lists the commands below one, as completion in a shell does.
func (c *commandLine) commandsOf(path []string) []string {
	c.t.Helper()
	var out []string
	for line := range strings.Lines(c.run(append(append([]string{"__complete"}, path...), "")...)) {
		word, _, described := strings.Cut(strings.TrimSpace(line), "\t")
		if !described || strings.HasPrefix(word, "-") || word == "help" || word == "completion" {
			continue
		}
		// An argument can be completed as well. The help of what is no command is its parent's.
		full := append(path[:len(path):len(path)], word)
		if strings.Contains(c.run(append(full, "--help")...), "tollgate "+strings.Join(full, " ")) {
			out = append(out, word)
		}
	}
	return out
}

// run runs the program where it finds no settings, no server and no stack of a developer.
func (c *commandLine) run(args ...string) string {
	c.t.Helper()
	key := strings.Join(args, "\x00")
	if out, ok := c.ran[key]; ok {
		return out
	}
	cmd := exec.CommandContext(c.t.Context(), c.binary, args...)
	cmd.Dir = filepath.Dir(c.binary)
	cmd.Env = []string{"HOME=" + cmd.Dir, "COLUMNS=100", "NO_COLOR=1"}
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("tollgate %s: %v", strings.Join(args, " "), err)
	}
	c.ran[key] = string(out)
	return c.ran[key]
}

// example is a command in a page: in a block, or between backticks.
var example = regexp.MustCompile("(?m)(?:^(?:    |KEY=\\$\\()?|\\| |`)(?:\\./|bin/)?tollgate ((?:[^`\\n\\\\]|\\\\\\n)+)")

// checkExamples compares the commands in pages written by hand with those that there are.
func (c *commandLine) checkExamples() {
	c.t.Helper()
	found := 0
	for _, page := range pages(c.t) {
		if strings.HasSuffix(page, "reference/cli.md") {
			continue
		}
		text, err := os.ReadFile(page)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, m := range example.FindAllStringSubmatch(string(text), -1) {
			found++
			if problem := c.wrong(m[1]); problem != "" {
				c.t.Errorf("%s: tollgate %s: %s", page, strings.TrimSpace(m[1]), problem)
			}
		}
	}
	if found < 10 {
		c.t.Errorf("only %d commands were found in the pages", found)
	}
	for _, bad := range []string{"kay create x", "key creat x", "key create x --endpiont y", "usage --group-by key --form x"} {
		if c.wrong(bad) == "" {
			c.t.Errorf("tollgate %s is taken for a command that there is", bad)
		}
	}
}

var flagIn = regexp.MustCompile(`(?:^|\s)(--[a-z][a-z-]*)`)

// wrong says why the words after tollgate are no command, or nothing.
func (c *commandLine) wrong(text string) string {
	text, _, _ = strings.Cut(text, " #")
	words := strings.Fields(text)
	if len(words) == 0 || words[0] == "help" || strings.ToUpper(words[0]) == words[0] && !strings.HasPrefix(words[0], "-") {
		return ""
	}
	path := ""
	for _, w := range words {
		if _, ok := c.helps[strings.TrimSpace(path+" "+w)]; !ok {
			break
		}
		path = strings.TrimSpace(path + " " + w)
	}
	if path == "" {
		return "there is no such command"
	}
	if rest := strings.Fields(strings.TrimPrefix(text, path)); c.isGroup(path) && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return path + " has no command " + rest[0]
	}
	for _, m := range flagIn.FindAllStringSubmatch(text, -1) {
		if !regexp.MustCompile(regexp.QuoteMeta(m[1]) + `\b`).MatchString(c.helps[path]) {
			return "there is no flag " + m[1]
		}
	}
	return ""
}

func (c *commandLine) isGroup(path string) bool {
	for name := range c.helps {
		if strings.HasPrefix(name, path+" ") {
			return true
		}
	}
	return false
}
