// Package flake has a test that fails now and then if it is built with the tag
// "bug": the guide shows how to find out why.
package flake
