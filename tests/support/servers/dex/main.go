// Package main serves one OpenID Provider on Dex for the tests of this project, with one person, who
// is signed in without a page.
//
// Its argument is the address that it listens at, and its issuer. It prints it when it is ready.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/dexidp/dex/connector"
	"github.com/dexidp/dex/connector/mock"
	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/server/connectors"
	"github.com/dexidp/dex/server/signer"
	"github.com/dexidp/dex/server/tokens"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
)

// unlocked is a storage in memory that can be read while a refresh token is updated. Dex does so, and
// would wait for itself for ever.
type unlocked struct{ storage.Storage }

func (s unlocked) UpdateRefreshToken(
	ctx context.Context,
	id string,
	updater func(storage.RefreshToken) (storage.RefreshToken, error),
) error {
	old, err := s.GetRefresh(ctx, id)
	if err != nil {
		return err
	}
	updated, err := updater(old)
	if err != nil {
		return err
	}
	return s.Storage.UpdateRefreshToken(ctx, id, func(storage.RefreshToken) (storage.RefreshToken, error) {
		return updated, nil
	})
}

// person signs in without a page.
type person struct{}

func (person) Open(_ string, logger *slog.Logger) (connector.Connector, error) {
	return &mock.Callback{Logger: logger, Identity: connector.Identity{
		UserID:        "analyst",
		Username:      "analyst",
		Email:         "analyst@example.com",
		EmailVerified: true,
	}}, nil
}

func main() {
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(address string) error {
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	store := unlocked{memory.New(logger)}
	server.ConnectorsConfig["person"] = func() connectors.ConnectorConfig { return person{} }
	if err := store.CreateConnector(ctx, storage.Connector{ID: "person", Type: "person", Name: "Person"}); err != nil {
		return err
	}
	for _, client := range []storage.Client{
		{ID: "public", Name: "public", Public: true},
		{ID: "secret", Name: "secret", Secret: "a-secret-of-the-client", RedirectURIs: []string{"http://127.0.0.1/callback"}},
	} {
		if err := store.CreateClient(ctx, client); err != nil {
			return err
		}
	}
	keys := signer.LocalConfig{KeysRotationPeriod: "24h"}
	sign, err := keys.Open(ctx, store, time.Hour, time.Now, logger)
	if err != nil {
		return err
	}
	provider, err := server.NewServer(ctx, server.Config{
		Issuer:             "http://" + address,
		Storage:            store,
		SkipApprovalScreen: true,
		IDTokensValidFor:   time.Hour,
		RefreshTokenPolicy: tokens.NewRefreshStrategy(true, 0, 0, 0, nil),
		Signer:             sign,
		Logger:             logger,
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("http://" + address)
	return http.Serve(listener, provider)
}
