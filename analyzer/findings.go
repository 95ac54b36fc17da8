package analyzer

import (
	"fmt"

	"golang.org/x/tools/go/analysis"

	"github.com/distkit/dist/requirement/directive"
)

// A Code names one finding for good: it is the Category of the diagnostic, and
// its heading in docs/findings.md.
type Code string

// Those of the directive's grammar have the names that the parser gives them.
const (
	NearMiss        = Code(directive.NearMiss)
	UnknownWord     = Code(directive.UnknownWord)
	BadValue        = Code(directive.BadValue)
	RepeatedWord    = Code(directive.RepeatedWord)
	MinOverNodes    = Code(directive.MinOverNodes)
	SecondDirective = Code("seconddirective")
	Misplaced       = Code("misplaced")
	Unused          = Code("unused")

	Disagree       = Code("disagree")
	LooseBound     = Code("loosebound")
	NoBound        = Code("nobound")
	BadOption      = Code("badoption")
	BadRequirement = Code("badrequirement")

	BeforeParallel = Code("beforeparallel")
	InFuzz         = Code("infuzz")
	OutsideTest    = Code("outsidetest")

	NotPlain     = Code("notplain")
	Unregistered = Code("unregistered")
	LateRegister = Code("lateregister")
	CannotCross  = Code("cannotcross")
	LosesData    = Code("losesdata")

	NoMain         = Code("nomain")
	LateMain       = Code("latemain")
	NoBootstrap    = Code("nobootstrap")
	StaleBootstrap = Code("stalebootstrap")
)

// report reports a finding.
func (s *scan) report(code Code, at analysis.Range, fixes []analysis.SuggestedFix, format string, args ...any) {
	s.reportRelated(code, at, nil, fixes, format, args...)
}

func (s *scan) reportRelated(code Code, at analysis.Range, related []analysis.RelatedInformation, fixes []analysis.SuggestedFix, format string, args ...any) {
	s.pass.Report(analysis.Diagnostic{
		Pos:            at.Pos(),
		End:            at.End(),
		Category:       string(code),
		Message:        fmt.Sprintf(format, args...),
		SuggestedFixes: fixes,
		Related:        related,
	})
}
