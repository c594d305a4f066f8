package main

import (
	"context"
	"os"

	"tollgate/controlplane/litellm"
	"tollgate/controlplane/litellm/source"
	"tollgate/internal/cli"
)

// readLiteLLM reads what `tollgate import litellm` names. With an error there may be a plan all the same, for its notes.
func readLiteLLM(ctx context.Context, in cli.Import) (*cli.Imported, error) {
	var records *litellm.Records
	var err error
	switch {
	case in.URL != "":
		p := source.Proxy{URL: in.URL, Key: in.Key, Client: in.Client}
		records, err = p.Read(ctx)
	case in.Dump != "":
		records, err = source.ReadDump(in.Dump)
	case in.Database != "":
		records, err = source.ReadDatabase(ctx, in.Database)
	}
	if err != nil {
		return nil, err
	}
	convert := litellm.Converter{
		Getenv: os.Getenv, ReadFile: in.ReadFile, AcceptGuardrailLoss: in.AcceptGuardrailLoss, Endpoints: in.Endpoints,
	}
	p, err := convert.ConvertWith(in.Name, in.Text, records)
	if err != nil {
		return &cli.Imported{Plan: p}, err
	}
	inputs, err := litellm.Inputs(in.Name, p)
	return &cli.Imported{Plan: p, Inputs: inputs}, err
}
