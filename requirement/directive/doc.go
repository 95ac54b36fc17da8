// Package directive is the grammar of the comment that states what a test
// needs:
//
//	//dist:nodes=3 ports=raft optional // as many as the quorum bears to lose, and one
//
// # Syntax
//
// A directive is a directive comment in the sense of go/ast.ParseDirective
// whose tool is dist. After the colon come words, separated by white space, in
// any order, each at most once:
//
//	nodes=N       N decimal, 1 to requirement.MaxNodes, no sign, no leading zero
//	min=N         likewise, and not above nodes
//	program=NAME  letters, digits, '-' and '_', beginning with a letter or a digit, at most 64
//	ports=A,B     names as above, beginning with a letter, each once
//	reuse
//	shared
//	optional
//	timeout=D     a duration as time.ParseDuration has it, longer than 0, no sign
//
// At least one word must be there; nodes need not be. A word that begins with
// // starts a comment. Everything is case sensitive, and nothing is quoted.
//
// # Mistakes
//
// Go says nothing about a directive that it does not know, and takes what only
// looks like one for prose. So [Parse] is strict with the first, and knows the
// second when it sees it: a mistake is reported with its exact range and, where
// the intent is clear, with the text that would have been right.
package directive
