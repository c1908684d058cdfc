module docker-credential-secretservice

go 1.21

require github.com/docker/docker-credential-helpers v0.9.3
