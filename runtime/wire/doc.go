// Package wire is the control channel between the test side and one node:
// requests and responses, multiplexed by id over one ordered byte stream, in
// both directions at once. Locally the stream is an inherited socket pair; it
// may as well be a TLS connection.
//
// A frame is
//
//	length  uint32, big endian: of all that follows
//	kind    uint8: request, response, failure, cancel
//	id      uint64: of the request, chosen by its sender
//	body    the rest
//
// A request's body begins with its remaining time in nanoseconds (uint64, 0:
// no deadline), the length of its method's name (uint16) and the name.
// Arguments and results are CBOR (RFC 8949), byte slices and strings as they are.
package wire
