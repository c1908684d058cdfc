// Package main serves the core of HashiCorp Vault, with the parts that the tests of this project
// use: KV 1 and 2, AppRole, JWT, Kubernetes and userpass. It is neither initialised nor unsealed:
// that is done over its API, as with any Vault.
//
// It prints the address that it listens on, and that of its standby if one was asked for, one a
// line, when it is ready for requests. It ends on SIGTERM. With -raft it is one node of a cluster with
// integrated storage, which it begins or joins over its API.
//
// With -agent it is the proxy of Vault Agent in front of another Vault: a request without a token
// gets the one in VAULT_TOKEN, which stands in for the agent's own login.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/command/agentproxyshared/cache"
	"github.com/hashicorp/vault/command/agentproxyshared/sink"
	token "github.com/hashicorp/vault/command/agentproxyshared/sink/inmem"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/physical/raft"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

const shutdownTime = 2 * time.Second

type options struct {
	listen, standby, storage, cert, key, raft, cluster, agent string
}

// node is one Vault: a core and the server in front of it.
type node struct {
	core     *vault.Core
	listener net.Listener
	server   *http.Server
}

func main() {
	var opts options
	flag.StringVar(&opts.listen, "listen", "127.0.0.1:0", "address to listen on")
	flag.StringVar(&opts.standby, "standby", "", "address of a second node over the same storage")
	flag.StringVar(&opts.storage, "storage", "", "folder to keep everything in; memory if not given")
	flag.StringVar(&opts.cert, "cert", "", "certificate file; TLS if given")
	flag.StringVar(&opts.key, "key", "", "key file of the certificate")
	flag.StringVar(&opts.raft, "raft", "", "name of a cluster's node; its storage is then of raft")
	flag.StringVar(&opts.cluster, "cluster", "", "address for the other nodes of a cluster")
	flag.StringVar(&opts.agent, "agent", "", "address of a Vault to be the agent of")
	flag.Parse()
	start := run
	if opts.agent != "" {
		start = runAgent
	}
	if err := start(opts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(opts options) error {
	logger := hclog.New(&hclog.LoggerOptions{Name: "vault", Level: hclog.Error, Output: os.Stderr})
	store, err := openStorage(opts, logger)
	if err != nil {
		return err
	}
	addresses := []string{opts.listen}
	var lock physical.HABackend
	if opts.raft != "" {
		lock = store.(physical.HABackend)
	}
	if opts.standby != "" {
		addresses = append(addresses, opts.standby)
		shared, err := inmem.NewInmemHA(nil, logger)
		if err != nil {
			return err
		}
		lock = shared.(physical.HABackend)
	}
	ended := make(chan error, len(addresses))
	var nodes []*node
	for _, address := range addresses {
		one, err := newNode(address, opts, store, lock, logger)
		if err != nil {
			return err
		}
		nodes = append(nodes, one)
		go func() { ended <- one.serve(opts) }()
	}
	for _, one := range nodes {
		fmt.Println(one.listener.Addr())
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	select {
	case err = <-ended:
	case <-signals:
	}
	for _, one := range nodes {
		one.stop()
	}
	return err
}

// newNode listens first, because a node of several has to know its own address.
func newNode(
	address string, opts options, store physical.Backend, lock physical.HABackend, logger hclog.Logger,
) (*node, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	config := &vault.CoreConfig{
		Physical:           store,
		StorageType:        storageType(opts),
		Logger:             logger,
		DisableMlock:       true,
		BuiltinRegistry:    parts,
		LogicalBackends:    parts[consts.PluginTypeSecrets],
		CredentialBackends: parts[consts.PluginTypeCredential],
	}
	if lock != nil {
		scheme := "http"
		if opts.cert != "" {
			scheme = "https"
		}
		config.HAPhysical = lock
		config.RedirectAddr = fmt.Sprintf("%s://%s", scheme, listener.Addr())
	}
	if opts.cluster != "" {
		config.ClusterAddr = "https://" + opts.cluster
	}
	core, err := vault.NewCore(config)
	if err != nil {
		return nil, err
	}
	if err := listenToNodes(core, opts.cluster); err != nil {
		return nil, err
	}
	return &node{core: core, listener: listener, server: &http.Server{
		Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core:           core,
			ListenerConfig: &configutil.Listener{TLSDisable: opts.cert == ""},
		}),
	}}, nil
}

func (n *node) serve(opts options) error {
	var err error
	if opts.cert == "" {
		err = n.server.Serve(n.listener)
	} else {
		err = n.server.ServeTLS(n.listener, opts.cert, opts.key)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (n *node) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	_ = n.server.Shutdown(ctx)
	_ = n.core.Shutdown()
}

// listenToNodes lets the other nodes of a cluster send on what only the active one may answer.
func listenToNodes(core *vault.Core, address string) error {
	if address == "" {
		return nil
	}
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return err
	}
	core.SetClusterListenerAddrs([]*net.TCPAddr{tcp})
	core.SetClusterHandler(vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core}))
	return nil
}

func storageType(opts options) string {
	if opts.raft != "" {
		return "raft"
	}
	return "file"
}

func openStorage(opts options, logger hclog.Logger) (physical.Backend, error) {
	switch {
	case opts.raft != "":
		return raft.NewRaftBackend(map[string]string{
			"path":    opts.storage,
			"node_id": opts.raft,
			// As quick as in production, and a node that has kept up gets its vote soon.
			"performance_multiplier":       "1",
			"autopilot_update_interval":    "1s",
			"autopilot_reconcile_interval": "1s",
		}, logger)
	case opts.storage == "":
		return inmem.NewInmem(nil, logger)
	default:
		return file.NewFileBackend(map[string]string{"path": opts.storage}, logger)
	}
}

// runAgent answers as Vault Agent does with use_auto_auth_token.
func runAgent(opts options) error {
	logger := hclog.New(&hclog.LoggerOptions{Name: "agent", Level: hclog.Error, Output: os.Stderr})
	config := api.DefaultConfig()
	config.Address = opts.agent
	client, err := api.NewClient(config)
	if err != nil {
		return err
	}
	proxy, err := cache.NewAPIProxy(&cache.APIProxyConfig{
		Client:                  client,
		Logger:                  logger,
		UserAgentString:         "agent",
		UserAgentStringFunction: func(client string) string { return client },
	})
	if err != nil {
		return err
	}
	own, err := token.New(&sink.SinkConfig{Logger: logger}, nil)
	if err != nil {
		return err
	}
	if err := own.WriteToken(os.Getenv("VAULT_TOKEN")); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", opts.listen)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, cache.ProxyHandler(context.Background(), logger, proxy, own, true))
}
