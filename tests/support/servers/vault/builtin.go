package main

import (
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// builtin is what a mount can be of, by its kind and its name.
type builtin map[consts.PluginType]map[string]logical.Factory

var parts = builtin{
	consts.PluginTypeSecrets: {"kv": kv.Factory},
	consts.PluginTypeCredential: {
		"approle": approle.Factory, "jwt": jwt.Factory, "kubernetes": kubernetes.Factory,
		"userpass": userpass.Factory,
	},
}

func (b builtin) Contains(name string, kind consts.PluginType) bool {
	_, ok := b[kind][name]
	return ok
}

func (b builtin) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	factory, ok := b[kind][name]
	return func() (interface{}, error) { return factory, nil }, ok
}

func (b builtin) Keys(kind consts.PluginType) []string {
	var names []string
	for name := range b[kind] {
		names = append(names, name)
	}
	return names
}

func (b builtin) DeprecationStatus(
	name string, kind consts.PluginType,
) (consts.DeprecationStatus, bool) {
	return consts.Supported, b.Contains(name, kind)
}

func (b builtin) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
