// Docker's own credential helper for secretservice, as its cmd/main.go has it.
package main

import (
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/docker/docker-credential-helpers/secretservice"
)

func main() {
	credentials.Name = "docker-credential-secretservice"
	credentials.Serve(secretservice.Secretservice{})
}
