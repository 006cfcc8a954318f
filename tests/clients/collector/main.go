// The OTLP receiver of the OpenTelemetry Collector, as its project wrote it, with a file behind it: each batch is a line of
// OTLP's own JSON. `collector PORT FILE`, until it is told to end.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

// lines is a file to which each batch is added as a line.
type lines struct {
	mutex sync.Mutex
	file  *os.File
}

func (l *lines) add(batch []byte, err error) error {
	if err != nil {
		return err
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	_, err = l.file.Write(append(batch, '\n'))
	return err
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	port, to := os.Args[1], &lines{file: must(os.Create(os.Args[2]))}
	factory, ctx := otlpreceiver.NewFactory(), context.Background()
	config := factory.CreateDefaultConfig()
	settings := confmap.NewFromStringMap(map[string]any{
		"protocols": map[string]any{"grpc": map[string]any{"endpoint": "127.0.0.1:" + port}},
	})
	if err := settings.Unmarshal(config); err != nil {
		log.Fatal(err)
	}
	traces := must(consumer.NewTraces(func(_ context.Context, batch ptrace.Traces) error {
		return to.add((&ptrace.JSONMarshaler{}).MarshalTraces(batch))
	}))
	logs := must(consumer.NewLogs(func(_ context.Context, batch plog.Logs) error {
		return to.add((&plog.JSONMarshaler{}).MarshalLogs(batch))
	}))
	metrics := must(consumer.NewMetrics(func(_ context.Context, batch pmetric.Metrics) error {
		return to.add((&pmetric.JSONMarshaler{}).MarshalMetrics(batch))
	}))
	// Three faces of one receiver: the factory gives the same one for the same configuration.
	how, host := receivertest.NewNopSettings(factory.Type()), componenttest.NewNopHost()
	ofTraces := must(factory.CreateTraces(ctx, how, config, traces))
	ofLogs := must(factory.CreateLogs(ctx, how, config, logs))
	ofMetrics := must(factory.CreateMetrics(ctx, how, config, metrics))
	for _, err := range []error{ofTraces.Start(ctx, host), ofLogs.Start(ctx, host), ofMetrics.Start(ctx, host)} {
		if err != nil {
			log.Fatal(err)
		}
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM)
	<-told
	_ = ofTraces.Shutdown(ctx)
}
