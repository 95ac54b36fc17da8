// Package standin is a test binary of ordinary weight, from the standard
// library alone, for measuring where the examples are not at hand.
package standin

import (
	_ "archive/zip"
	_ "compress/flate"
	_ "crypto/tls"
	_ "database/sql"
	_ "encoding/gob"
	_ "encoding/xml"
	_ "html/template"
	_ "log/slog"
	_ "net/http/httptest"
	_ "net/rpc"
	"os"
	"testing"

	"github.com/distkit/dist"
)

func TestMain(m *testing.M) { os.Exit(dist.Main(m)) }
