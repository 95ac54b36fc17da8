// Package requirement is the vocabulary that all parts of dist share: what one
// test needs ([Requirement]), and what the bootstrap of one package knows
// ([Plan]). distvet and distgen find requirements in source, generated files
// carry them, the runtime executes them; the rules by which they are checked
// and combined are here, so that none of the three has rules of its own.
//
// It is linked into every test binary and imports next to nothing. The
// directive's grammar needs go/ast and is in the folder directive.
package requirement
