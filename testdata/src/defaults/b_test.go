//dist:nodes=5 // want `the package has its dist directive already, in a_test.go`
package defaults
