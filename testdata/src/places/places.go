package places

//dist:nodes=3 // want `misplaced dist directive: would be right in a _test.go file, above a test or the package clause`
func F() {}

// dist:nodes=3
func Prose() {}
