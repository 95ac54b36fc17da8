package runtime

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// decodeAddr reads an address as /proc/net has it: 32-bit words in the
// machine's byte order (little endian wherever Go runs Linux in practice), in hex.
func decodeAddr(s string) string {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if err != nil || len(b)%4 != 0 {
		return s
	}
	for i := 0; i < len(b); i += 4 {
		b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
	}
	addr, ok := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return s
	}
	return fmt.Sprint(netip.AddrPortFrom(addr, uint16(n)))
}
