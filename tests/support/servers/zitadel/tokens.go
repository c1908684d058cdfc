package main

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

var errNotServed = errors.New("this provider does not serve that")

func (s *store) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	found, ok := s.clients[id]
	if !ok || id == "disabled" {
		return nil, errors.New("there is no such client")
	}
	found.settings = s.settings
	return &found, nil
}

func (s *store) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	if found, ok := s.clients[id]; !ok || found.secret == "" || found.secret != secret {
		return errors.New("the secret is not that of the client")
	}
	return nil
}

func (s *store) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	if err := s.AuthorizeClientIDSecret(ctx, id, secret); err != nil {
		return nil, err
	}
	return s.GetClientByClientID(ctx, id)
}

func (s *store) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: id, Audience: []string{id}, Scopes: scopes}, nil
}

// CreateAccessToken is for a sign-in without a refresh token, and for a client's own token.
func (s *store) CreateAccessToken(_ context.Context, request op.TokenRequest) (string, time.Time, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	id, issued := s.issue(request.GetAudience()[0], "", request)
	return id, issued.Expires, nil
}

func (s *store) CreateAccessAndRefreshTokens(
	_ context.Context, request op.TokenRequest, current string,
) (string, string, time.Time, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	id, found := s.grantOf(current)
	switch asked, ok := request.(op.IDTokenRequest); {
	case current == "" && ok:
		id = rand.Text()
		found = &grant{ClientID: asked.GetClientID(), Scopes: asked.GetScopes(), AuthTime: asked.GetAuthTime()}
		found.Refresh = rand.Text()
		s.grants[id] = found
	case found == nil:
		return "", "", time.Time{}, oidc.ErrInvalidGrant()
	case s.settings.Rotate:
		found.Spent = append(found.Spent, found.Refresh)
		found.Refresh = rand.Text()
	}
	key, issued := s.issue(found.ClientID, id, request)
	return key, found.Refresh, issued.Expires, nil
}

// useDevice lets a device code serve once. Only here is the client known to be the right one.
func (s *store) useDevice(request op.TokenRequest) {
	used, ok := request.(*op.DeviceAuthorizationState)
	for code, state := range s.devices {
		if ok && state.Done && state.AuthTime.Equal(used.AuthTime) {
			delete(s.devices, code)
		}
	}
}

func (s *store) issue(clientID, grantID string, request op.TokenRequest) (string, *token) {
	s.useDevice(request)
	key := rand.Text()
	life := time.Duration(s.settings.AccessTokenSeconds) * time.Second
	issued := &token{
		ClientID: clientID,
		Subject:  request.GetSubject(),
		Grant:    grantID,
		Scopes:   request.GetScopes(),
		Expires:  time.Now().Add(life),
	}
	s.tokens[key] = issued
	return key, issued
}

func (s *store) TokenRequestByRefreshToken(_ context.Context, refreshToken string) (op.RefreshTokenRequest, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, found := s.grantOf(refreshToken)
	if found == nil || s.disabled {
		return nil, op.ErrInvalidRefreshToken
	}
	return &refreshRequest{grant: found, scopes: found.Scopes}, nil
}

func (s *store) GetRefreshTokenInfo(_ context.Context, _, refreshToken string) (string, string, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if _, found := s.grantOf(refreshToken); found == nil {
		return "", "", op.ErrInvalidRefreshToken
	}
	return subject, refreshToken, nil
}

func (s *store) RevokeToken(_ context.Context, tokenOrID, _, clientID string) *oidc.Error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if issued, ok := s.tokens[tokenOrID]; ok && issued.ClientID == clientID {
		delete(s.tokens, tokenOrID)
	}
	if id, found := s.grantOf(tokenOrID); found != nil && found.ClientID == clientID {
		s.endGrant(id)
	}
	return nil
}

func (s *store) TerminateSession(context.Context, string, string) error {
	s.endSessions()
	return nil
}

func (s *store) active(id string) (*token, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	issued, ok := s.tokens[id]
	if !ok || issued.Expires.Before(time.Now()) {
		return nil, errors.New("the token is not active")
	}
	return issued, nil
}

func (s *store) SetIntrospectionFromToken(
	_ context.Context, answer *oidc.IntrospectionResponse, tokenID, _, _ string,
) error {
	issued, err := s.active(tokenID)
	if err != nil {
		return err
	}
	answer.ClientID, answer.Scope = issued.ClientID, issued.Scopes
	answer.Expiration = oidc.FromTime(issued.Expires)
	return nil
}

func (s *store) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, tokenID, _, _ string) error {
	if _, err := s.active(tokenID); err != nil {
		return err
	}
	describe(info)
	return nil
}

func (s *store) SetUserinfoFromScopes(_ context.Context, info *oidc.UserInfo, _, _ string, _ []string) error {
	describe(info)
	return nil
}

func describe(info *oidc.UserInfo) {
	info.Subject, info.Email, info.Name = subject, subject, "Ada Analyst"
}

func (s *store) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}

func (s *store) GetKeyByIDAndClientID(_ context.Context, keyID, clientID string) (*jose.JSONWebKey, error) {
	if key := s.clients[clientID].key; key != nil && key.KeyID == keyID {
		return key, nil
	}
	return nil, errors.New("the client has no such key")
}

func (s *store) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errNotServed
}
