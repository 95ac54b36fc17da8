// Package runtime is as much of the real one as a bootstrap needs to compile.
package runtime

import (
	"context"

	"github.com/distkit/dist/requirement"
)

func Load(requirement.Plan) {}

func Func[In, Out any](name string, fn func(context.Context, In) (Out, error)) {}
