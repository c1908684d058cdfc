// One request to an API server by client-go, which has its token from a program: as kubectl does.
package main

import (
	"fmt"
	"io"
	"log"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Arguments: the server, its certificate authority's file, the program, and the program's arguments.
func main() {
	log.SetFlags(0)
	if len(os.Args) < 4 {
		log.Fatal("usage: client-go-exec SERVER CA_FILE PROGRAM [ARG…]")
	}
	client, err := rest.HTTPClientFor(&rest.Config{
		Host:            os.Args[1],
		TLSClientConfig: rest.TLSClientConfig{CAFile: os.Args[2]},
		ExecProvider: &api.ExecConfig{
			Command:         os.Args[3],
			Args:            os.Args[4:],
			APIVersion:      "client.authentication.k8s.io/v1",
			InteractiveMode: api.NeverExecInteractiveMode,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := client.Get(os.Args[1] + "/version")
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d %s", answer.StatusCode, body)
}
