// Package ownmain is package mix with a TestMain of its own.
package ownmain
