package sample

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"strings"

	"google.golang.org/protobuf/proto"

	controlv1 "tollgate/gen/tollgate/control/v1"
	"tollgate/gen/tollgate/control/v1/controlv1connect"
	"tollgate/internal/contract"
	"tollgate/internal/money"
)

const briaNow = 12 * money.Dollar

var people = []*controlv1.Person{
	{Email: "sam@example.com", Name: "Sam Okafor", Role: controlv1.Role_ROLE_EDITOR},
	{Email: "ana@example.com", Name: "Ana Lindqvist", Role: controlv1.Role_ROLE_VIEWER},
}

// makePeople invites people, who all set a password, and has the first of them do what the audit log is to tell of.
func (d *Data) makePeople(ctx context.Context) error {
	client := controlv1connect.NewPersonServiceClient(d.o.Client, d.o.URL)
	for _, p := range people {
		if _, err := client.CreatePerson(ctx, &controlv1.CreatePersonRequest{Person: proto.CloneOf(p)}); exists(err) != nil {
			return err
		}
	}
	teams := controlv1connect.NewTeamServiceClient(d.o.Client, d.o.URL)
	if _, err := teams.SetTeamMember(ctx, &controlv1.SetTeamMemberRequest{
		Team: "marketing", Person: people[1].GetEmail(), Role: controlv1.TeamRole_TEAM_ROLE_ADMIN,
	}); err != nil {
		return err
	}
	var sam *http.Client
	for i, p := range people {
		browser, err := d.signIn(ctx, client, p.GetEmail())
		if err != nil {
			return err
		}
		if i == 0 {
			sam = browser
		}
	}
	endpoints := controlv1connect.NewEndpointServiceClient(sam, d.o.URL)
	if err := change(ctx, endpoints, "bria", "price", func(e *controlv1.Endpoint) bool {
		was := e.GetPrice().GetFixed().GetPerRequest()
		e.Price = perRequest(briaNow)
		return proto.Equal(was, contract.MoneyToProto(briaWas))
	}); err != nil {
		return err
	}
	return change(ctx, endpoints, "bria", "targets", func(e *controlv1.Endpoint) bool {
		first := "http://" + d.o.Vendor
		was := e.GetTargets()[0].GetUrl()
		e.Targets[0].Url = first + "/eu"
		return strings.TrimSuffix(was, "/") == first
	})
}

// signIn signs somebody in as a browser does, by the link of their invitation.
func (d *Data) signIn(ctx context.Context, people controlv1connect.PersonServiceClient, email string) (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar, Transport: d.o.Transport}
	link, err := people.CreateSignInLink(ctx, &controlv1.CreateSignInLinkRequest{Person: email})
	if err != nil {
		return nil, err
	}
	_, token, ok := strings.Cut(link.GetLink(), "#token=")
	if !ok {
		return nil, errors.New("the link of an invitation has no token")
	}
	password := rand.Text()
	d.o.Kept.Passwords[email] = password
	if err := d.o.Kept.save(); err != nil {
		return nil, err
	}
	_, err = controlv1connect.NewAccountServiceClient(client, d.o.URL).RedeemLink(ctx, &controlv1.RedeemLinkRequest{Token: token, Password: password})
	return client, err
}
