package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// subject is the one person that there is.
const subject = "analyst@example.com"

// store keeps what was issued, in memory.
type store struct {
	mutex     sync.Mutex
	settings  settings
	clients   map[string]client
	disabled  bool
	cryptoKey [32]byte
	keyID     string
	key       *rsa.PrivateKey
	requests  map[string]*authRequest
	codes     map[string]string
	devices   map[string]*op.DeviceAuthorizationState
	userCodes map[string]string
	grants    map[string]*grant
	tokens    map[string]*token
}

func newStore(clientKey *jose.JSONWebKey) *store {
	s := &store{
		clients:   knownClients(clientKey),
		requests:  map[string]*authRequest{},
		codes:     map[string]string{},
		devices:   map[string]*op.DeviceAuthorizationState{},
		userCodes: map[string]string{},
		grants:    map[string]*grant{},
		tokens:    map[string]*token{},
	}
	_, _ = rand.Read(s.cryptoKey[:])
	return s
}

func (s *store) configure(set settings) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.settings = set
}

func (s *store) rotateKey() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.key = key
	s.keyID = rand.Text()
	return nil
}

func (s *store) endSessions() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	clear(s.grants)
	clear(s.tokens)
}

// hasRefreshToken looks without using the token up: the library's introspection has access tokens only.
func (s *store) hasRefreshToken(text string) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, found := range s.grants {
		if found.Refresh == text {
			return !s.disabled
		}
	}
	return false
}

func (s *store) disablePerson() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.disabled = true
}

func (s *store) decideDevice(userCode string, deny bool) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	state, ok := s.devices[s.userCodes[userCode]]
	if !ok {
		return errors.New("there is no such user code")
	}
	state.Denied, state.Done = deny, !deny
	state.Subject, state.AuthTime = subject, time.Now()
	return nil
}

func (s *store) finishAuthRequest(id string) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	request, ok := s.requests[id]
	if !ok {
		return errors.New("there is no such sign-in")
	}
	request.done, request.authTime = true, time.Now()
	return nil
}

func (s *store) Health(context.Context) error { return nil }

func (s *store) CreateAuthRequest(_ context.Context, asked *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	request := &authRequest{AuthRequest: asked, id: rand.Text()}
	s.requests[request.id] = request
	return request, nil
}

func (s *store) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.requestBy(id)
}

func (s *store) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.requestBy(s.codes[code])
}

func (s *store) requestBy(id string) (op.AuthRequest, error) {
	request, ok := s.requests[id]
	if !ok {
		return nil, errors.New("there is no such sign-in")
	}
	return request, nil
}

func (s *store) SaveAuthCode(_ context.Context, id, code string) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.codes[code] = id
	return nil
}

func (s *store) DeleteAuthRequest(_ context.Context, id string) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.requests, id)
	return nil
}

func (s *store) StoreDeviceAuthorization(
	_ context.Context, clientID, deviceCode, userCode string, expires time.Time, scopes []string,
) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if _, taken := s.userCodes[userCode]; taken {
		return op.ErrDuplicateUserCode
	}
	s.devices[deviceCode] = &op.DeviceAuthorizationState{
		ClientID: clientID, Scopes: scopes, Expires: expires, AMR: []string{"pwd"},
	}
	s.userCodes[userCode] = deviceCode
	return nil
}

func (s *store) GetDeviceAuthorizatonState(
	_ context.Context, clientID, deviceCode string,
) (*op.DeviceAuthorizationState, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	state, ok := s.devices[deviceCode]
	if !ok || state.ClientID != clientID {
		return nil, errors.New("there is no such device code")
	}
	copied := *state
	return &copied, nil
}

func (s *store) SigningKey(context.Context) (op.SigningKey, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return &signingKey{id: s.keyID, key: s.key}, nil
}

func (s *store) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

func (s *store) KeySet(context.Context) ([]op.Key, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return []op.Key{&signingKey{id: s.keyID, key: &s.key.PublicKey}}, nil
}

func (k *signingKey) ID() string                                  { return k.id }
func (k *signingKey) Key() any                                    { return k.key }
func (k *signingKey) Use() string                                 { return "sig" }
func (k *signingKey) Algorithm() jose.SignatureAlgorithm          { return jose.RS256 }
func (k *signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

// endGrant ends a sign-in: none of its tokens is active any more.
func (s *store) endGrant(id string) {
	delete(s.grants, id)
	for key, issued := range s.tokens {
		if issued.Grant == id {
			delete(s.tokens, key)
		}
	}
}

// grantOf finds the sign-in of a refresh token. A token that was used before ends it, where tokens
// rotate.
func (s *store) grantOf(refreshToken string) (string, *grant) {
	for id, found := range s.grants {
		if found.Refresh == refreshToken {
			return id, found
		}
		if slices.Contains(found.Spent, refreshToken) {
			s.endGrant(id)
		}
	}
	return "", nil
}
