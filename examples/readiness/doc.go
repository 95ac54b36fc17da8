// Package readiness is no example: its tests hold the few frames of HTTP/2 with
// which dist asks a gRPC server whether it is ready against real servers, whose
// libraries must not be among the requirements of those who use dist.
package readiness
