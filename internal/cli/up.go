package cli

import (
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// ReadConfig reads files of configuration, with the values of secrets that they have on this machine, as `apply` does.
func ReadConfig(o Options, names []string, sources SecretSources) (*controlv1.ConfigInput, error) {
	a := &app{Options: o.complete()}
	return a.readFiles(nil, &filesInput{names: names, from: "auto"}, sources)
}
