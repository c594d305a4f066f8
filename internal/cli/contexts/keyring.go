package contexts

import (
	"errors"

	"github.com/zalando/go-keyring"

	"tollgate/internal/config"
)

// Keyring keeps tokens where the operating system keeps passwords.
type Keyring interface {
	Get(server string) (config.Secret, error)
	Set(server string, token config.Secret) error
	Delete(server string) error
}

// service is what entries in a keyring are filed under.
const service = "tollgate"

// System is the keyring of the operating system. Its calls fail where there is none.
type System struct{}

// Get finds the token of a server.
func (System) Get(server string) (config.Secret, error) {
	token, err := keyring.Get(service, server)
	return config.Secret(token), err
}

// Set keeps the token of a server.
func (System) Set(server string, token config.Secret) error {
	return keyring.Set(service, server, token.Reveal())
}

// Delete forgets the token of a server. One that is not there is no failure.
func (System) Delete(server string) error {
	if err := keyring.Delete(service, server); !errors.Is(err, keyring.ErrNotFound) {
		return err
	}
	return nil
}
