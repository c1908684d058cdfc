// Docker's own credential helper for pass, as its cmd/main.go has it.
package main

import (
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/docker/docker-credential-helpers/pass"
)

func main() {
	credentials.Name = "docker-credential-pass"
	credentials.Serve(pass.Pass{})
}
