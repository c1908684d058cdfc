// Package main serves one OpenID Provider on ZITADEL's library for the tests of this project: the
// library's own example, with its pages and its storage in memory, clients for tests and what an
// administrator does.
//
// Its argument is the address that it listens at, and its issuer. It prints it when it is ready.
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	password = "a-password"
	secret   = "a-secret-of-the-client"
)

// people has everybody, who all have one password.
type people struct{}

func (people) GetUserByID(id string) *storage.User {
	return &storage.User{ID: id, Username: id, Password: password, Email: id, EmailVerified: true}
}

func (p people) GetUserByUsername(name string) *storage.User { return p.GetUserByID(name) }

func (people) ExampleClientID() string { return "service" }

// client is one of the example's, whose kind and grants can be told.
type client struct {
	op.Client
	kind   op.ApplicationType
	method oidc.AuthMethod
	grants []oidc.GrantType
}

func (c client) ApplicationType() op.ApplicationType { return c.kind }

func (c client) AuthMethod() oidc.AuthMethod { return c.method }

func (c client) GrantTypes() []oidc.GrantType { return c.grants }

func (client) IDTokenUserinfoClaimsAssertion() bool { return true }

var (
	browser = []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}
	device  = append(browser[:2:2], oidc.GrantTypeDeviceCode)
	itself  = append(device[:3:3], oidc.GrantTypeClientCredentials)
)

// clientOf makes a client of the example one of the kinds that the tests name.
func clientOf(one op.Client) client {
	switch one.GetID() {
	case "secret":
		return client{one, op.ApplicationTypeWeb, oidc.AuthMethodBasic, itself}
	case "key":
		return client{one, op.ApplicationTypeWeb, oidc.AuthMethodPrivateKeyJWT, device}
	case "browser":
		return client{one, op.ApplicationTypeNative, oidc.AuthMethodNone, browser}
	}
	return client{one, op.ApplicationTypeNative, oidc.AuthMethodNone, device}
}

// key is a key pair, and its public half where it is handed out.
type key struct {
	id      string
	private *rsa.PrivateKey
}

func newKey() *key {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return &key{uuid.NewString(), private}
}

func (k *key) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

func (k *key) Key() any { return k.private }

func (k *key) ID() string { return k.id }

type publicKey struct{ *key }

func (p publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }

func (p publicKey) Use() string { return "sig" }

func (p publicKey) Key() any { return &p.private.PublicKey }

// store is the example's, with what it leaves out.
type store struct {
	*storage.Storage
	signing    atomic.Pointer[key]
	clientKeys jose.JSONWebKeySet
}

func (s *store) SigningKey(context.Context) (op.SigningKey, error) { return s.signing.Load(), nil }

func (s *store) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{publicKey{s.signing.Load()}}, nil
}

func (s *store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	one, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return clientOf(one), nil
}

func (s *store) AuthorizeClientIDSecret(_ context.Context, id, given string) error {
	if id == "secret" && given == secret {
		return nil
	}
	return errors.New("invalid secret")
}

func (s *store) ClientCredentials(ctx context.Context, id, given string) (op.Client, error) {
	if err := s.AuthorizeClientIDSecret(ctx, id, given); err != nil {
		return nil, err
	}
	return s.GetClientByClientID(ctx, id)
}

func (s *store) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: id, Audience: []string{id}, Scopes: scopes}, nil
}

func (s *store) GetKeyByIDAndClientID(_ context.Context, id, _ string) (*jose.JSONWebKey, error) {
	for _, one := range s.clientKeys.Key(id) {
		return &one, nil
	}
	return nil, errors.New("key not found")
}

// The example forgets at the device flow whose refresh token it is.
func (s *store) CreateAccessAndRefreshTokens(
	ctx context.Context,
	request op.TokenRequest,
	current string,
) (string, string, time.Time, error) {
	if state, ok := request.(*op.DeviceAuthorizationState); ok {
		request = &storage.RefreshTokenRequest{RefreshToken: &storage.RefreshToken{
			ApplicationID: state.ClientID,
			UserID:        state.Subject,
			Audience:      state.GetAudience(),
			Scopes:        state.Scopes,
			AuthTime:      time.Now(),
		}}
	}
	return s.Storage.CreateAccessAndRefreshTokens(ctx, request, current)
}

func main() {
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(address string) error {
	const redirect = "http://127.0.0.1/callback"
	clients := map[string]*storage.Client{}
	for _, id := range []string{"public", "browser", "secret", "key"} {
		clients[id] = storage.NativeClient(id, redirect)
	}
	s := &store{Storage: storage.NewStorageWithClients(people{}, clients)}
	if err := json.Unmarshal([]byte(os.Getenv("CLIENT_KEYS")), &s.clientKeys); err != nil {
		return err
	}
	s.signing.Store(newKey())
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	router := exampleop.SetupServer("http://"+address, s, logger, false)
	router.Post("/control/rotate-keys", func(http.ResponseWriter, *http.Request) { s.signing.Store(newKey()) })
	router.Post("/control/end-session", func(w http.ResponseWriter, r *http.Request) {
		_ = s.TerminateSession(r.Context(), r.FormValue("person"), r.FormValue("client"))
	})
	router.Post("/control/has-refresh-token", func(w http.ResponseWriter, r *http.Request) {
		_, _, err := s.GetRefreshTokenInfo(r.Context(), "", r.FormValue("token"))
		fmt.Fprint(w, err == nil)
	})
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("http://" + address)
	return http.Serve(listener, router)
}
