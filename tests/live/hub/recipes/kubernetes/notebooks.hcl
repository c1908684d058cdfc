path "secret/data/users/{{identity.entity.aliases.ACCESSOR.metadata.service_account_name}}/*" {
  capabilities = ["create", "read", "update"]
}
path "secret/metadata/users/{{identity.entity.aliases.ACCESSOR.metadata.service_account_name}}/*" {
  capabilities = ["create", "update", "list"]
}
path "secret/destroy/users/{{identity.entity.aliases.ACCESSOR.metadata.service_account_name}}/*" {
  capabilities = ["create", "update"]
}
