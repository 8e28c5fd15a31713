#!/usr/bin/env bash
# Generates monitor/rpc's protocol code from its .proto file. It needs protoc (Debian: protobuf-compiler); the plugins are built at the versions of go.mod.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/" google.golang.org/protobuf/cmd/protoc-gen-go connectrpc.com/connect/v2/cmd/protoc-gen-connect-go
dir=monitor/rpc/internal/xmev1
PATH=$tmp:$PATH protoc -I "$dir" --go_out="$dir" --go_opt=paths=source_relative \
	--connect-go_out="$dir" --connect-go_opt=paths=source_relative monitor.proto
