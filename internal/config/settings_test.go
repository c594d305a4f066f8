package config_test

import (
	"slices"
	"testing"

	"tollgate/internal/config"
)

type described struct {
	Listen string        `yaml:"listen"`
	Token  config.Secret `yaml:"token"`
	NATS   struct {
		CAFile string `yaml:"ca_file"`
	} `yaml:"nats"`
}

func (d *described) Validate() error { return nil }

func TestSettings(t *testing.T) {
	t.Parallel()
	got, err := config.Settings("T_", &described{Listen: ":1", Token: "hidden"})
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Setting{
		{Key: "listen", Env: "T_LISTEN", Flag: "listen", Default: ":1"},
		{Key: "token", Env: "T_TOKEN", Flag: "token", Secret: true},
		{Key: "nats.ca_file", Env: "T_NATS_CA_FILE", Flag: "nats-ca-file"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("Settings = %+v\nwant %+v", got, want)
	}
}
