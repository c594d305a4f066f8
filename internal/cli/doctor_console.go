package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// mostPage is more than the console's page has.
const mostPage = 64 << 10

var (
	bootBlock  = regexp.MustCompile(`id="boot">([^<]*)<`)
	consoleIn  = regexp.MustCompile(`"console":\s*true`)
	pageScript = regexp.MustCompile(`<script type="module"[^>]* src="\./([^"]+)"`)
)

// console looks whether browsers get the console, and what it cannot run without.
func (x *examination) console(ctx context.Context) {
	const fix = "Look at what stands between this machine and the control plane: it has to pass on every path."
	page, status, err := x.page(ctx, "/", "text/html")
	boot := bootBlock.FindStringSubmatch(page)
	script := pageScript.FindStringSubmatch(page)
	switch {
	case err != nil:
		x.note("console", fix, "its page cannot be read: %s", err)
	case status != http.StatusOK || boot == nil:
		x.note("console", fix, "a browser gets no page from %s (status %d)", x.serverURL(), status)
	case !consoleIn.MatchString(boot[1]):
		x.note("console", "Install a build without the tag noconsole, or go on with the command line.", "the control plane was built without one")
	case script == nil:
		x.note("console", "Build it with `make console`, and the control plane anew.", "its page names no script")
	default:
		if _, status, err := x.page(ctx, "/"+script[1], "*/*"); err != nil || status != http.StatusOK {
			x.note("console", fix, "its script %s cannot be read (status %d)", script[1], status)
			return
		}
		x.good("console", "%s", x.serverURL())
	}
}

// page asks for something as a browser does.
func (x *examination) page(ctx context.Context, path, accept string) (text string, status int, err error) {
	client, err := x.client()
	if err != nil {
		return "", 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(x.serverURL(), "/")+path, http.NoBody)
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Accept", accept)
	res, err := client.Do(req)
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, mostPage))
	return string(body), res.StatusCode, err
}
