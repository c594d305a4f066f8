package rpc

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"

	"tollgate/controlplane/templates"
	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/internal/fault"
)

// templateService shows templates. They are part of the program: nobody writes them, and no database is asked.
type templateService struct{}

func (templateService) ListTemplates(context.Context, *controlv1.ListTemplatesRequest) (*controlv1.ListTemplatesResponse, error) {
	all, err := templates.All()
	if err != nil {
		return nil, err
	}
	res := &controlv1.ListTemplatesResponse{}
	for _, e := range all {
		t := proto.CloneOf(e.Template)
		t.Endpoint, t.Deployment, t.Sample = nil, nil, nil
		res.Templates = append(res.Templates, t)
	}
	return res, nil
}

func (templateService) GetTemplate(_ context.Context, req *controlv1.GetTemplateRequest) (*controlv1.GetTemplateResponse, error) {
	all, err := templates.All()
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if e.Template.GetName() == req.GetName() {
			return &controlv1.GetTemplateResponse{Template: e.Template}, nil
		}
	}
	return nil, fault.New(fault.ObjectNotFound, "There is no template %q.", req.GetName()).
		WithHint("There is: %s.", strings.Join(templates.Near(all, req.GetName()), ", "))
}
