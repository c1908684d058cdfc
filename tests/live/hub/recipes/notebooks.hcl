path "secret/data/users/{{identity.entity.aliases.ACCESSOR.name}}/*" {
  capabilities = ["create", "read", "update"]
}
path "secret/metadata/users/{{identity.entity.aliases.ACCESSOR.name}}/*" {
  capabilities = ["create", "update", "list"]
}
path "secret/destroy/users/{{identity.entity.aliases.ACCESSOR.name}}/*" {
  capabilities = ["create", "update"]
}
