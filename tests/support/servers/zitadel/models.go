package main

import (
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Where the clients of the tests listen for the browser; the port is any.
var redirectURIs = []string{"http://127.0.0.1/callback", "http://localhost/callback"}

// client is one of the fixed clients, with the settings of the moment.
type client struct {
	id       string
	secret   string
	key      *jose.JSONWebKey
	grants   []oidc.GrantType
	settings settings
}

var (
	person  = []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeDeviceCode, oidc.GrantTypeRefreshToken}
	browser = []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}
	machine = append([]oidc.GrantType{oidc.GrantTypeClientCredentials}, person...)
)

const secret = "Zq7%/+~ x&=9Kf:w-._!*'()"

// knownClients are there from the start; key is the public one of the client that has a key.
// "resource" asks whether tokens are active.
func knownClients(key *jose.JSONWebKey) map[string]client {
	known := map[string]client{}
	for _, each := range []client{
		{id: "public", grants: person},
		{id: "browser", grants: browser},
		{id: "disabled", grants: person},
		{id: "secret", grants: machine, secret: secret},
		{id: "key", grants: machine, key: key},
		{id: "resource", secret: secret},
	} {
		known[each.id] = each
	}
	return known
}

func (c *client) isConfidential() bool { return c.secret != "" || c.id == "key" }

func (c *client) GetID() string                                                { return c.id }
func (c *client) RedirectURIs() []string                                       { return redirectURIs }
func (c *client) PostLogoutRedirectURIs() []string                             { return nil }
func (c *client) GrantTypes() []oidc.GrantType                                 { return c.grants }
func (c *client) LoginURL(id string) string                                    { return loginPath + "?authRequestID=" + id }
func (c *client) DevMode() bool                                                { return false }
func (c *client) IsScopeAllowed(string) bool                                   { return false }
func (c *client) IDTokenUserinfoClaimsAssertion() bool                         { return true }
func (c *client) ClockSkew() time.Duration                                     { return 0 }
func (c *client) RestrictAdditionalIdTokenScopes() func([]string) []string     { return same }
func (c *client) RestrictAdditionalAccessTokenScopes() func([]string) []string { return same }

// A confidential client is no native one, whose ports are free.
func (c *client) RedirectURIGlobs() []string           { return []string{"http://127.0.0.1:*/callback"} }
func (c *client) PostLogoutRedirectURIGlobs() []string { return nil }

func (c *client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

func (c *client) ApplicationType() op.ApplicationType {
	if c.isConfidential() {
		return op.ApplicationTypeWeb
	}
	return op.ApplicationTypeNative
}

func (c *client) AuthMethod() oidc.AuthMethod {
	if c.secret != "" {
		return oidc.AuthMethodBasic
	}
	if c.isConfidential() {
		return oidc.AuthMethodPrivateKeyJWT
	}
	return oidc.AuthMethodNone
}

func (c *client) AccessTokenType() op.AccessTokenType {
	if c.settings.JWT {
		return op.AccessTokenTypeJWT
	}
	return op.AccessTokenTypeBearer
}

func (c *client) IDTokenLifetime() time.Duration {
	return time.Duration(c.settings.IDTokenSeconds) * time.Second
}

func same(scopes []string) []string { return scopes }

// authRequest is a sign-in in the browser.
type authRequest struct {
	*oidc.AuthRequest
	id       string
	done     bool
	authTime time.Time
}

func (a *authRequest) GetID() string                      { return a.id }
func (a *authRequest) GetACR() string                     { return "" }
func (a *authRequest) GetAMR() []string                   { return []string{"pwd"} }
func (a *authRequest) GetAudience() []string              { return []string{a.ClientID} }
func (a *authRequest) GetAuthTime() time.Time             { return a.authTime }
func (a *authRequest) GetClientID() string                { return a.ClientID }
func (a *authRequest) GetNonce() string                   { return a.Nonce }
func (a *authRequest) GetRedirectURI() string             { return a.RedirectURI }
func (a *authRequest) GetResponseType() oidc.ResponseType { return a.ResponseType }
func (a *authRequest) GetResponseMode() oidc.ResponseMode { return a.ResponseMode }
func (a *authRequest) GetScopes() []string                { return a.Scopes }
func (a *authRequest) GetState() string                   { return a.State }
func (a *authRequest) GetSubject() string                 { return subject }
func (a *authRequest) Done() bool                         { return a.done }

func (a *authRequest) GetCodeChallenge() *oidc.CodeChallenge {
	if a.CodeChallenge == "" {
		return nil
	}
	return &oidc.CodeChallenge{Challenge: a.CodeChallenge, Method: a.CodeChallengeMethod}
}

// grant is a person's sign-in with all that came of it.
type grant struct {
	ClientID string
	Scopes   []string
	AuthTime time.Time
	Refresh  string
	Spent    []string
}

// refreshRequest is a refresh under way.
type refreshRequest struct {
	grant  *grant
	scopes []string
}

func (r *refreshRequest) GetAMR() []string                 { return []string{"pwd"} }
func (r *refreshRequest) GetAudience() []string            { return []string{r.grant.ClientID} }
func (r *refreshRequest) GetAuthTime() time.Time           { return r.grant.AuthTime }
func (r *refreshRequest) GetClientID() string              { return r.grant.ClientID }
func (r *refreshRequest) GetScopes() []string              { return r.scopes }
func (r *refreshRequest) GetSubject() string               { return subject }
func (r *refreshRequest) SetCurrentScopes(scopes []string) { r.scopes = scopes }

// token is an access token. Grant is empty for a client's own.
type token struct {
	ClientID string
	Subject  string
	Grant    string
	Scopes   []string
	Expires  time.Time
}

// signingKey is one half of a pair of keys.
type signingKey struct {
	id  string
	key any
}
