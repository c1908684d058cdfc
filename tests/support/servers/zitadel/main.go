// Package main serves OpenID Providers on zitadel/oidc, the library under ZITADEL, for the tests of
// this project.
//
// It prints the address of its control when it is ready, and ends on SIGTERM. Over the control a test
// makes providers, each with a port and clients of its own, and changes them:
//
//	POST /providers          {"issuer": "http://…", "clientKey": {public JWK}} → {"port": 1234}
//	POST /providers/1234/ACTION, see provider.change
//	DELETE /providers/1234
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"github.com/go-jose/go-jose/v4"
)

func main() {
	// The library logs each refusal, and the tests provoke many.
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() { _ = http.Serve(listener, (&control{running: map[int]*provider{}}).routes()) }()
	fmt.Printf("http://%s\n", listener.Addr())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}

// control makes providers and hands a test's wishes to them.
type control struct {
	mutex   sync.Mutex
	running map[int]*provider
}

func (c *control) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /providers", answering(c.start))
	mux.HandleFunc("DELETE /providers/{port}", answering(c.stop))
	mux.HandleFunc("POST /providers/{port}/{action}", answering(c.change))
	return mux
}

// answering turns the result of a function into an HTTP answer.
func answering(handle func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := handle(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (c *control) start(r *http.Request) (any, error) {
	var asked struct {
		Issuer    string           `json:"issuer"`
		ClientKey *jose.JSONWebKey `json:"clientKey"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		return nil, err
	}
	made, port, err := startProvider(asked.Issuer, asked.ClientKey)
	if err != nil {
		return nil, err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.running[port] = made
	return map[string]int{"port": port}, nil
}

func (c *control) stop(r *http.Request) (any, error) {
	found, port, err := c.find(r)
	if err != nil {
		return nil, err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.running, port)
	return nil, found.server.Close()
}

func (c *control) change(r *http.Request) (any, error) {
	found, _, err := c.find(r)
	if err != nil {
		return nil, err
	}
	return found.change(r.PathValue("action"), r.Body)
}

func (c *control) find(r *http.Request) (*provider, int, error) {
	port, err := strconv.Atoi(r.PathValue("port"))
	if err != nil {
		return nil, 0, err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	found, ok := c.running[port]
	if !ok {
		return nil, 0, fmt.Errorf("there is no provider at port %d", port)
	}
	return found, port, nil
}
