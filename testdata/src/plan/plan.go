package plan

import "context"

func Exported(ctx context.Context, in int) (string, error) { return "", nil }
