package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

type explainFlags struct {
	key, edge, body string
	headers         []string
	bodyBytes       int64
}

func (a *app) explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain [METHOD] PATH",
		Short: "Show which endpoint a request would reach, what would be sent and who would refuse it",
		Long: `Have an edge take a request through its own stages without sending it anywhere: which endpoint
matches and why, what would be sent to which target, what it would cost, and who would refuse it.
Nothing is charged.`,
		Example: `  tollgate explain POST '/bria/v1/text-to-image/base/2.3?sync=true' --key ci-bot
  tollgate explain POST /openai/v1/chat/completions --key ci-bot --body request.json
  tollgate explain /v1/models -H 'accept: application/json' --edge edge-2`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return exactly("METHOD", "PATH")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &controlv1.ExplainRequest{Method: http.MethodGet, Path: args[len(args)-1], Key: f.key, Edge: f.edge, BodyBytes: f.bodyBytes}
			if len(args) > 1 {
				req.Method = strings.ToUpper(args[0])
			}
			if !strings.HasPrefix(req.GetPath(), "/") {
				return usage(cmd, "The path %q does not begin with /.", req.GetPath())
			}
			for _, text := range f.headers {
				h, err := readHeader(cmd, text)
				if err != nil {
					return err
				}
				req.Headers = append(req.Headers, &controlv1.ExplainHeader{Name: h.GetName(), Value: h.GetValue()})
			}
			if f.body != "" {
				_, body, err := a.readInput(f.body)
				if err != nil {
					return err
				}
				req.Body = body
			}
			return a.with(cmd, func(ctx context.Context, c clients) error {
				res, err := c.explain.Explain(ctx, req)
				if err != nil {
					return err
				}
				x := res.GetExplanation()
				if err := a.print(explanation(x)); err != nil {
					return err
				}
				if x.GetMeter() != "" && f.body == "" && req.GetMethod() != http.MethodGet {
					a.say("! What is held can depend on the request's body: give it with --body FILE.")
				}
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "name or id of the key that calls; without one, a caller without a key")
	flags.StringVar(&f.edge, "edge", "", "name of the edge to ask; any if not given")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "'name: value' of the request; may be repeated")
	flags.Int64Var(&f.bodyBytes, "body-bytes", 0, "length of the request's body")
	flags.StringVar(&f.body, "body", "", "file with the request's body, where that says which model is asked or what it costs; - for stdin")
	return cmd
}

// explanation is what an edge said, for people first.
func explanation(x *controlv1.Explanation) result {
	r := result{data: view(x), names: []string{x.GetEndpoint()}}
	t := &r.table
	verdict := "✗ refused"
	if x.GetAdmitted() {
		if verdict = "✓ sent to " + x.GetUrl(); x.GetUrl() == "" {
			verdict = "✓ answered by the edge itself"
		}
	}
	t.add("request", verdict)
	t.add("edge", fmt.Sprintf("%s, revision %d", x.GetEdge(), x.GetRevision()))
	for _, s := range x.GetSteps() {
		mark := "✗ "
		if s.GetPassed() {
			mark = "✓ "
		}
		t.add(s.GetStage(), mark+s.GetText())
	}
	if ref := x.GetRefusal(); ref != nil {
		t.add("answer", fmt.Sprintf("%d %s: %s", ref.GetStatus(), ref.GetCode(), ref.GetMessage()))
		if meaning := meanings[fault.Code(ref.GetCode())]; meaning != "" {
			t.add("means", meaning)
		}
		t.add("fix", ref.GetHint())
	}
	for _, target := range x.GetTargets() {
		text := target.GetUrl() + " (" + target.GetState() + ")"
		for _, n := range target.GetNotes() {
			text += "; " + n
		}
		t.add("target", text)
	}
	if x.GetCredential() != "" {
		t.add("credential", x.GetCredential())
	}
	if x.GetHost() != "" {
		t.add("host", x.GetHost())
	}
	for _, h := range x.GetHeaders() {
		if h.GetRemoved() != "" {
			t.add("- "+h.GetName(), h.GetRemoved())
		} else {
			t.add("+ "+h.GetName(), h.GetValue()+" ("+h.GetOrigin()+")")
		}
	}
	if x.GetPrice() != "" {
		t.add("price", x.GetPrice())
	}
	if x.GetMeter() != "" {
		t.add("meter", x.GetMeter())
	}
	if x.GetModel() != "" {
		t.add("model", x.GetModel())
	}
	if x.GetDeployment() != "" {
		t.add("deployment", x.GetDeployment())
		t.add("asked", first(x.GetTranslation(), "as it is"))
	}
	if len(x.GetDropped()) > 0 {
		t.add("left out", strings.Join(x.GetDropped(), ", "))
	}
	if x.GetHold() != nil {
		held := dollars(x.GetHold())
		if why := x.GetHoldReason(); why != "" {
			held += ": " + why
		}
		t.add("held", held)
	}
	return r
}
