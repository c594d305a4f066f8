package clients_test

import (
	_ "github.com/anthropics/anthropic-sdk-go"
	_ "github.com/openai/openai-go"
	_ "google.golang.org/grpc"
	_ "google.golang.org/grpc/interop/grpc_testing"
)
