// Package main is Ory Hydra as it comes, for the tests of this project.
package main

import "github.com/ory/hydra/v2/cmd"

func main() {
	cmd.Execute()
}
