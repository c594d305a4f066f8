// Command adapter-go lets clients of OpenAI's Chat Completions, and of all that a gateway translates into them, talk to
// models of Cohere: it is an adapter in the role of a vendor's, for Cohere's v2 chat API. Text, images, tools, structured output,
// reasoning, streams, usage and errors are translated; what Cohere cannot do is refused by name.
//
// It keeps nothing between requests, so any number of it may run.
package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"tollgate/sdk/adapter"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:7070", "where to listen")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// ADAPTER_TOKEN is what the gateway has to present. Without one, let nobody else reach the address.
	o := adapter.Options{Log: log, Token: os.Getenv("ADAPTER_TOKEN")}
	if err := adapter.ListenAndServe(ctx, *addr, cohere{}, o); err != nil {
		log.Error("the adapter has stopped", "err", err)
		os.Exit(1)
	}
}
