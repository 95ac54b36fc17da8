package readiness

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/distkit/dist/config"
	"github.com/distkit/dist/runtime/engine/process"
	"github.com/distkit/dist/runtime/program"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// ask asks the server at an address once, as for a node of an attached cluster.
func ask(t *testing.T, addr string) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	v := config.View{Nodes: []config.NodeView{{Name: "node-1", Addr: map[string]string{"rpc": addr}}}}
	return program.Attached(ctx, process.New(), &config.Attach{Name: "kv", Ready: config.Ready{GRPC: "rpc"}}, v)
}

func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// serve is a gRPC server with services of its own.
func serve(t *testing.T, register func(*grpc.Server), opts ...grpc.ServerOption) (addr string) {
	l, s := listen(t), grpc.NewServer(opts...)
	register(s)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

func want(t *testing.T, err error, text string) {
	t.Helper()
	if text == "" && err != nil || text != "" && (err == nil || !strings.Contains(err.Error(), text)) {
		t.Errorf("error %v; want %q", err, text)
	}
}

func TestStates(t *testing.T) {
	h := health.NewServer()
	addr := serve(t, func(s *grpc.Server) { healthpb.RegisterHealthServer(s, h) })
	want(t, ask(t, addr), "")
	h.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	want(t, ask(t, addr), "NOT_SERVING")
	h.SetServingStatus("", healthpb.HealthCheckResponse_UNKNOWN)
	want(t, ask(t, addr), ": UNKNOWN")
	h.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	want(t, ask(t, addr), "")
}

func TestNoHealthService(t *testing.T) {
	want(t, ask(t, serve(t, func(*grpc.Server) {})), `does not have the service grpc.health.v1.Health; register it, or say ready = { tcp = "rpc" }`)
}

// answers is a health service that answers as it is told.
type answers struct {
	healthpb.UnimplementedHealthServer
	check func(ctx context.Context) error
}

func (a answers) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, a.check(ctx)
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{status.Error(codes.Unavailable, "no leader: 100% lost, \u00e9t\u00e9"), "gRPC status UNAVAILABLE: \"no leader: 100% lost, \u00e9t\u00e9\""},
		{status.Error(codes.NotFound, ""), "gRPC status NOT_FOUND"},
		{status.Error(codes.Unimplemented, ""), "register it"},
	} {
		a := answers{check: func(context.Context) error { return test.err }}
		want(t, ask(t, serve(t, func(s *grpc.Server) { healthpb.RegisterHealthServer(s, a) })), test.want)
	}
}

// TestLargeHeaders: they go on in CONTINUATION frames.
func TestLargeHeaders(t *testing.T) {
	a := answers{check: func(ctx context.Context) error {
		return grpc.SetTrailer(ctx, metadata.Pairs("x-much", strings.Repeat("much ", 8<<10)))
	}}
	want(t, ask(t, serve(t, func(s *grpc.Server) { healthpb.RegisterHealthServer(s, a) })), "")
}

func TestOthers(t *testing.T) {
	h1, h2 := listen(t), listen(t)
	go http.Serve(h1, nil)
	want(t, ask(t, h1.Addr().String()), `speaks HTTP/1, not gRPC; if it is an HTTP server, say ready = { http = "rpc" }`)

	var both http.Protocols
	both.SetUnencryptedHTTP2(true)
	s := &http.Server{Protocols: &both, Handler: http.NotFoundHandler()}
	go s.Serve(h2)
	t.Cleanup(func() { s.Close() })
	want(t, ask(t, h2.Addr().String()), "HTTP 404, from no gRPC server")

	rude := listen(t)
	go func() {
		for {
			conn, err := rude.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	if err := ask(t, rude.Addr().String()); err == nil {
		t.Error("a server that hangs up is ready")
	}
	rude.Close()
	want(t, ask(t, rude.Addr().String()), "connection refused")
}
