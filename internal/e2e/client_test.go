package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/testenv"
	"tollgate/sdk/client"
)

// Guarantee: the example of the Go client does what its page says, against a whole system: a key is shown to who runs it again, a
// budget is made once, nothing is made in a dry run, and requests are told as they end.
func TestGoClientExample(t *testing.T) {
	t.Parallel()
	d := startDev(t, filepath.Join(t.TempDir(), "data"), nil, "--demo")
	env := []string{"TOLLGATE_SERVER=" + d.control, "TOLLGATE_TOKEN=" + d.line("Admin token")}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), bin.client, args...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	first := run("-dollars", "20", "acme", "globex")
	if strings.Count(first, "calls with tgk_") != 2 || run("-dollars", "30", "acme", "globex") != first {
		t.Errorf("the first time it says\n%s", first)
	}
	if tried := run("-dry-run", "initech"); !strings.Contains(tried, "initech would get a key") || strings.Contains(tried, "initech\ttgk_") {
		t.Errorf("a dry run says\n%s", tried)
	}
	tg, err := client.New(d.control, client.WithToken(d.line("Admin token")))
	if err != nil {
		t.Fatal(err)
	}
	budgets := map[string]int64{}
	for b, err := range client.All(t.Context(), tg.Budgets.ListBudgets, &controlv1.ListBudgetsRequest{PageSize: 1}, (*controlv1.ListBudgetsResponse).GetBudgets) {
		if err != nil {
			t.Fatal(err)
		}
		budgets[b.GetName()] = b.GetAmount().GetUnits()
	}
	if budgets["acme-month"] != 20 || budgets["globex-month"] != 20 || budgets["initech-month"] != 0 {
		t.Errorf("the budgets are %v", budgets)
	}
	_, err = tg.Keys.CreateKey(t.Context(), &controlv1.CreateKeyRequest{Name: "Not a name"})
	if client.CodeOf(err) != client.InvalidArgument || !strings.Contains(err.Error(), "request req_") {
		t.Errorf("a wrong name is answered with %v", err)
	}

	answered := 0
	for news, err := range tg.Tail(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if answered == 0 { // from here on it is told of everything
			resp, err := http.DefaultClient.Do(pasted(t, d.text(), 0))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			answered = resp.StatusCode
		}
		if len(news.GetRequests()) > 0 {
			if got := news.GetRequests()[0]; int(got.GetStatus()) != answered || got.GetKey() != "demo" || got.GetEndpoint() != "bria" {
				t.Errorf("it is told of %v", got)
			}
			break
		}
	}
}

var serverURL = regexp.MustCompile(`"\$TOLLGATE_SERVER([^"]*)"`)

// Guarantee: the page on the API with curl works as it is written, from top to bottom.
func TestCurlExamples(t *testing.T) {
	t.Parallel()
	d := startDev(t, filepath.Join(t.TempDir(), "data"), nil, "--demo")
	page, err := os.ReadFile("../../docs/examples/http/README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := serverURL.ReplaceAllString(string(page), d.control+"$1")
	text = strings.ReplaceAll(text, `"Authorization: Bearer $TOLLGATE_TOKEN"`, "'Authorization: Bearer "+d.line("Admin token")+"'")
	wants := []string{
		`"secret":"tgk_`, `"name":"initrode-month"`, `"keys":[{`, `"tags":["nightly"]`, `"status":"KEY_STATUS_REVOKED"`, `"total":{`, "position,request_id,",
	}
	all := curlCommand.FindAllStringSubmatch(text, -1)
	if len(all) != len(wants) {
		t.Fatalf("%d commands, and answers to %d", len(all), len(wants))
	}
	ask := func(command string) string {
		t.Helper()
		resp, err := http.DefaultClient.Do(curl(t, command))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s\n%v %s %s", command, err, resp.Status, body)
		}
		return string(body)
	}
	for i, m := range all {
		got := ask(m[1])
		if json.Valid([]byte(got)) { // which is written with spaces here and there
			got = strings.NewReplacer(": ", ":", ", ", ",").Replace(got)
		}
		if !strings.Contains(got, wants[i]) {
			t.Errorf("%s\nanswers %s\nwithout %s", m[1], got, wants[i])
		}
	}
	again := ask(all[0][1])
	if !strings.Contains(again, "tgk_") || again != ask(all[0][1]) {
		t.Errorf("the first command sent again answers %s", again)
	}
	testenv.Eventually(t, 10*time.Second, func() error {
		if got := ask(all[2][1]); !strings.Contains(got, "initrode") || strings.Contains(got, "REVOKED") {
			return fmt.Errorf("after the dry run the keys are %s", got)
		}
		return nil
	})
}
