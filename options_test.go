package dist

import (
	"strings"
	"testing"
	"time"

	"github.com/distkit/dist/requirement"
)

func TestOptions(t *testing.T) {
	r, err := required([]Option{Nodes(5), Min(3), Program("etcd"), Ports("a", "b"), Ports("c"), Reuse(), Shared(), Optional(), Timeout(time.Minute)})
	want := requirement.Requirement{Nodes: 5, Min: 3, Program: "etcd", Ports: []string{"a", "b", "c"}, Reuse: true, Shared: true, Optional: true, Timeout: time.Minute}
	if err != nil || !r.Equal(want) {
		t.Errorf("%+v, %v", r, err)
	}
	for _, test := range []struct {
		opt  Option
		want string
	}{
		{Nodes(0), "nodes"},
		{Nodes(100000), "nodes"},
		{Min(-1), "min"},
		{Ports("a", "a"), "port"},
		{Ports("a b"), "port"},
		{Program(""), "program"},
		{Timeout(0), "timeout"},
		{Option{}, "empty"},
	} {
		if _, err := required([]Option{test.opt}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want something about %s", err, test.want)
		}
	}
}
