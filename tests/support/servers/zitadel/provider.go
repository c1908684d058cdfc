package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	devicePath = "/device"
	loginPath  = "/login"
)

// settings are what a test may change while a provider runs.
type settings struct {
	AccessTokenSeconds int `json:"accessTokenSeconds"`
	IDTokenSeconds     int `json:"idTokenSeconds"`
	DeviceSeconds      int `json:"deviceSeconds"`
	Interval           int `json:"interval"`
	// Signed access tokens instead of opaque ones.
	JWT bool `json:"jwt"`
	// A new refresh token at each refresh; its predecessor ends the sign-in if it comes again.
	Rotate bool `json:"rotate"`
	// Whether answers have a Date header.
	Date bool `json:"date"`
	// "server" is the router that ZITADEL itself uses, "provider" the library's older one.
	Router string `json:"router"`
}

func defaultSettings() settings {
	return settings{
		AccessTokenSeconds: 3600,
		IDTokenSeconds:     300,
		DeviceSeconds:      600,
		Interval:           1,
		Rotate:             true,
		Date:               true,
		Router:             "server",
	}
}

// provider is the library's handler, with a page for the person's sign-in before it.
type provider struct {
	issuer  string
	store   *store
	server  *http.Server
	handler atomic.Pointer[built]
	// Whether the person denies in the browser.
	denies atomic.Bool
}

// built is a handler with the settings that it was made by.
type built struct {
	settings   settings
	handler    http.Handler
	authorizer op.Authorizer
	callback   func(id string) string
}

func startProvider(issuer string, clientKey *jose.JSONWebKey) (*provider, int, error) {
	made := &provider{issuer: issuer, store: newStore(clientKey)}
	made.server = &http.Server{Handler: made}
	if err := made.store.rotateKey(); err != nil {
		return nil, 0, err
	}
	if err := made.rebuild(defaultSettings()); err != nil {
		return nil, 0, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	go func() { _ = made.server.Serve(listener) }()
	return made, listener.Addr().(*net.TCPAddr).Port, nil
}

// change carries out what a test wants of this provider.
func (p *provider) change(action string, body io.Reader) (any, error) {
	switch action {
	case "settings":
		next := defaultSettings()
		if err := json.NewDecoder(body).Decode(&next); err != nil {
			return nil, err
		}
		return nil, p.rebuild(next)
	case "device":
		var decision struct {
			UserCode string `json:"userCode"`
			Deny     bool   `json:"deny"`
		}
		if err := json.NewDecoder(body).Decode(&decision); err != nil {
			return nil, err
		}
		return nil, p.store.decideDevice(decision.UserCode, decision.Deny)
	case "refresh-token":
		var asked struct {
			Token string `json:"token"`
		}
		if err := json.NewDecoder(body).Decode(&asked); err != nil {
			return nil, err
		}
		return map[string]bool{"active": p.store.hasRefreshToken(asked.Token)}, nil
	case "browser":
		var decision struct {
			Deny bool `json:"deny"`
		}
		if err := json.NewDecoder(body).Decode(&decision); err != nil {
			return nil, err
		}
		p.denies.Store(decision.Deny)
	case "end-sessions":
		p.store.endSessions()
	case "disable-person":
		p.store.disablePerson()
	case "rotate-keys":
		return nil, p.store.rotateKey()
	default:
		return nil, fmt.Errorf("there is no action %q", action)
	}
	return nil, nil
}

// rebuild makes the library's handler anew, since it reads its settings only once.
func (p *provider) rebuild(set settings) error {
	config := &op.Config{
		CryptoKey:               p.store.cryptoKey,
		CryptoKeyId:             "key",
		CodeMethodS256:          true,
		AuthMethodPost:          true,
		AuthMethodPrivateKeyJWT: true,
		GrantTypeRefreshToken:   true,
		SupportedScopes:         []string{"openid", "profile", "email", "offline_access"},
		DeviceAuthorization: op.DeviceAuthorizationConfig{
			Lifetime:     time.Duration(set.DeviceSeconds) * time.Second,
			PollInterval: time.Duration(set.Interval) * time.Second,
			UserFormPath: devicePath,
			UserCode:     op.UserCodeBase20,
		},
	}
	made, err := op.NewProvider(config, p.store, op.StaticIssuer(p.issuer), op.WithAllowInsecure())
	if err != nil {
		return err
	}
	var handler http.Handler = made
	if set.Router == "server" {
		server := op.NewLegacyServer(made, made.Endpoints())
		handler = op.RegisterLegacyServer(server, op.AuthorizeCallbackHandler(made))
	}
	callback := func(id string) string { return p.issuer + "/authorize/callback?id=" + id }
	p.store.configure(set)
	p.handler.Store(&built{settings: set, handler: handler, authorizer: made, callback: callback})
	return nil
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	current := p.handler.Load()
	if !current.settings.Date {
		w.Header()["Date"] = nil // net/http then sends none
	}
	if r.URL.Path != loginPath {
		current.handler.ServeHTTP(w, r)
		return
	}
	// The one person is signed in at once, or denies.
	id := r.FormValue("authRequestID")
	if p.denies.Load() {
		request, err := p.store.AuthRequestByID(r.Context(), id)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		op.AuthRequestError(w, r, request, oidc.ErrAccessDenied(), current.authorizer)
		return
	}
	if err := p.store.finishAuthRequest(id); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, current.callback(id), http.StatusFound)
}
