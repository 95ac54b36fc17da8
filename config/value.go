package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A value knows where a key is kept and what it may be. It is set from the
// file or from a variable; what is wrong goes to the report, and then the old
// value stays.
type value interface {
	set(n *node, r report)
	parse(text string, r report)
	literal() string // the present value, as the file would write it
	allowed() string // "an integer from 1 to 4096"
}

// A report takes one fault of a value: a predicate ("is 0") and a remedy. The
// place is that of an element where one is to blame, the zero pos for the
// value as a whole.
type report func(at pos, problem, remedy string)

func mustBe(v value) string { return "it must be " + v.allowed() }

// wrongKind reports a value of the file that has the wrong type.
func wrongKind(n *node, v value, r report) {
	r(pos{}, "is "+n.String(), mustBe(v))
}

// parseTOML reads the text of a variable as a value of the file, for what has
// no plainer form.
func parseTOML(text string, v value, r report) {
	n, err := parse([]byte("v = " + text))
	if err != nil || len(n.members) != 1 || n.members[0].name != "v" {
		r(pos{}, "is "+quote(text), mustBe(v)+", written as in distributed.toml")
		return
	}
	v.set(n.members[0].value, func(_ pos, problem, remedy string) { r(pos{}, problem, remedy) })
}

type intValue struct {
	p        *int
	min, max int
}

func (v intValue) set(n *node, r report) {
	switch n.kind {
	case kindInteger:
		i, err := strconv.ParseInt(n.text, 0, 64) // base 0: TOML's prefixes and underscores
		if err != nil || i < int64(v.min) || i > int64(v.max) {
			r(pos{}, "is "+n.text, mustBe(v))
			return
		}
		*v.p = int(i)
	case kindString:
		if _, err := strconv.Atoi(n.text); err == nil {
			r(pos{}, "is "+n.String(), mustBe(v)+", without quotes")
			return
		}
		wrongKind(n, v, r)
	default:
		wrongKind(n, v, r)
	}
}

func (v intValue) parse(text string, r report) {
	i, err := strconv.Atoi(text)
	if err != nil || i < v.min || i > v.max {
		r(pos{}, "is "+quote(text), mustBe(v))
		return
	}
	*v.p = i
}

func (v intValue) literal() string { return strconv.Itoa(*v.p) }
func (v intValue) allowed() string { return fmt.Sprintf("an integer from %d to %d", v.min, v.max) }

// An intsValue is a list of distinct integers in a range.
type intsValue struct {
	p        *[]int
	min, max int
	what     string // "ports of TCP and UDP"
}

func (v intsValue) set(n *node, r report) {
	if n.kind == kindInteger {
		r(pos{}, "is "+n.text, mustBe(v)+": ["+n.text+"]")
		return
	}
	if n.kind != kindArray {
		wrongKind(n, v, r)
		return
	}
	list, ok := make([]int, 0, len(n.items)), true
	for i, item := range n.items {
		var one int
		intValue{&one, v.min, v.max}.set(item, func(_ pos, problem, remedy string) {
			r(item.at, fmt.Sprintf("has an element %d that %s", i+1, problem), remedy)
			ok = false
		})
		if j := slices.Index(list, one); j >= 0 && one != 0 {
			r(item.at, fmt.Sprintf("has %d as element %d and as element %d", one, j+1, i+1), "remove one")
			ok = false
		}
		list = append(list, one)
	}
	if ok {
		*v.p = list
	}
}

func (v intsValue) parse(text string, r report) {
	if !strings.HasPrefix(text, "[") { // one element stands for itself
		var one int
		set := true
		intValue{&one, v.min, v.max}.parse(text, func(at pos, problem, _ string) {
			r(at, problem, mustBe(v)+", or one of them")
			set = false
		})
		if set {
			*v.p = []int{one}
		}
		return
	}
	parseTOML(text, v, r)
}

func (v intsValue) literal() string {
	texts := make([]string, len(*v.p))
	for i, n := range *v.p {
		texts[i] = strconv.Itoa(n)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func (v intsValue) allowed() string {
	return fmt.Sprintf("a list of %s from %d to %d", v.what, v.min, v.max)
}

type floatValue struct {
	p        *float64
	min, max float64
}

func (v floatValue) set(n *node, r report) {
	if n.kind != kindFloat && n.kind != kindInteger {
		wrongKind(n, v, r)
		return
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64)
	v.assign(n.text, f, err, r)
}

func (v floatValue) parse(text string, r report) {
	f, err := strconv.ParseFloat(text, 64)
	v.assign(quote(text), f, err, r)
}

func (v floatValue) assign(shown string, f float64, err error, r report) {
	if err != nil || math.IsNaN(f) || f < v.min || f > v.max {
		r(pos{}, "is "+shown, mustBe(v))
		return
	}
	*v.p = f
}

func (v floatValue) literal() string {
	s := strconv.FormatFloat(*v.p, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
func (v floatValue) allowed() string { return fmt.Sprintf("a number from %v to %v", v.min, v.max) }

type boolValue struct{ p *bool }

func (v boolValue) set(n *node, r report) {
	if n.kind != kindBool {
		wrongKind(n, v, r)
		return
	}
	*v.p = n.text == "true"
}

func (v boolValue) parse(text string, r report) {
	b, err := strconv.ParseBool(text)
	if err != nil {
		r(pos{}, "is "+quote(text), mustBe(v))
		return
	}
	*v.p = b
}

func (v boolValue) literal() string { return strconv.FormatBool(*v.p) }
func (v boolValue) allowed() string { return "true or false" }

type durationValue struct {
	p        *time.Duration
	min, max time.Duration
}

func (v durationValue) set(n *node, r report) {
	switch n.kind {
	case kindString:
		v.parse(n.text, r)
	case kindInteger, kindFloat:
		r(pos{}, "is "+n.String()+", which has no unit", `write a duration, such as "`+n.text+`s"`)
	default:
		wrongKind(n, v, r)
	}
}

func (v durationValue) parse(text string, r report) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		if _, err := strconv.ParseFloat(text, 64); err == nil {
			r(pos{}, "is "+quote(text)+", which has no unit", `write a duration, such as "`+text+`s"`)
			return
		}
		r(pos{}, "is "+quote(text), mustBe(v)+`, such as "1.5s" or "2m30s"`)
	case d < v.min || d > v.max:
		r(pos{}, "is "+quote(text), mustBe(v))
	default:
		*v.p = d
	}
}

func (v durationValue) literal() string { return quote(spell(*v.p)) }
func (v durationValue) allowed() string {
	return "a duration from " + spell(v.min) + " to " + spell(v.max)
}

// spell writes a duration as people do: 2m, not 2m0s.
func spell(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

type enumValue struct {
	p      *string
	values []string
}

func (v enumValue) set(n *node, r report) {
	if n.kind != kindString {
		wrongKind(n, v, r)
		return
	}
	v.parse(n.text, r)
}

func (v enumValue) parse(text string, r report) {
	if !slices.Contains(v.values, text) {
		r(pos{}, "is "+quote(text), didYouMean(text, v.values)+mustBe(v))
		return
	}
	*v.p = text
}

func (v enumValue) literal() string { return spellString(*v.p) }
func (v enumValue) allowed() string { return oneOf(v.values) }

// A check judges a string: a predicate that says what is wrong with it, "is not
// a port", and a remedy. Both are "" if it is good.
type check func(text string) (problem, remedy string)

// A textValue is a string that passes the check, if there is one.
type textValue struct {
	p     *string
	what  string // "a path"
	check check
}

func (v textValue) set(n *node, r report) {
	if n.kind != kindString {
		wrongKind(n, v, r)
		return
	}
	v.parse(n.text, r)
}

func (v textValue) parse(text string, r report) {
	if v.check != nil {
		if problem, remedy := v.check(text); problem != "" {
			r(pos{}, "is "+quote(text)+", which "+problem, remedy)
			return
		}
	}
	*v.p = text
}

func (v textValue) literal() string { return spellString(*v.p) }
func (v textValue) allowed() string { return v.what }

// A listValue is a list of strings, each of which passes the check.
type listValue struct {
	p     *[]string
	what  string // "a list of port names"
	empty bool   // whether an empty list is a value
	check check
}

func (v listValue) set(n *node, r report) {
	if n.kind == kindString {
		r(pos{}, "is "+n.String(), mustBe(v)+": ["+quote(n.text)+"]")
		return
	}
	if n.kind != kindArray {
		wrongKind(n, v, r)
		return
	}
	list, ok := make([]string, 0, len(n.items)), true
	for i, item := range n.items {
		switch {
		case item.kind != kindString:
			r(item.at, fmt.Sprintf("has %s as element %d", item, i+1), mustBe(v))
			ok = false
		case v.check != nil:
			if problem, remedy := v.check(item.text); problem != "" {
				r(item.at, fmt.Sprintf("has %s as element %d, which %s", quote(item.text), i+1, problem), remedy)
				ok = false
			}
		}
		list = append(list, item.text)
	}
	if len(list) == 0 && !v.empty {
		r(pos{}, "is empty", mustBe(v))
		return
	}
	if ok {
		*v.p = list
	}
}

func (v listValue) parse(text string, r report) {
	if !strings.HasPrefix(text, "[") { // one element stands for itself
		v.set(&node{kind: kindArray, items: []*node{{text: text}}}, r)
		return
	}
	parseTOML(text, v, r)
}

func (v listValue) literal() string { return list(*v.p) }
func (v listValue) allowed() string { return v.what }

// An envValue is a table of environment variables.
type envValue struct{ p *map[string]string }

func (v envValue) set(n *node, r report) {
	if n.kind != kindTable {
		wrongKind(n, v, r)
		return
	}
	env, ok := map[string]string{}, true
	for _, m := range n.members {
		problem, remedy := checkEnvName(m.name)
		switch {
		case problem != "":
			r(m.at, "has "+quote(m.name)+" as a name, which "+problem, remedy)
			ok = false
		case m.value.kind != kindString:
			r(m.value.at, "has "+m.value.String()+" as the value of "+m.name, "write it as a string")
			ok = false
		default:
			if problem, remedy := checkText(m.value.text); problem != "" {
				r(m.value.at, "has "+quote(m.value.text)+" as the value of "+m.name+", which "+problem, remedy)
				ok = false
			}
		}
		env[m.name] = m.value.text
	}
	if ok {
		*v.p = env
	}
}

func (v envValue) parse(text string, r report) { parseTOML(text, v, r) }
func (v envValue) literal() string             { return inlineTable(*v.p) }
func (v envValue) allowed() string             { return "a table of strings" }

type resetValue struct{ p *Reset }

func (v resetValue) set(n *node, r report) {
	switch n.kind {
	case kindString:
		v.parse(n.text, r)
	case kindArray:
		var command []string
		listValue{p: &command, what: v.allowed(), check: checkCommand}.set(n, r)
		if command != nil {
			*v.p = Reset{Mode: "exec", Exec: command}
		}
	default:
		wrongKind(n, v, r)
	}
}

func (v resetValue) parse(text string, r report) {
	if strings.HasPrefix(text, "[") {
		parseTOML(text, v, r)
		return
	}
	modes := []string{"restart", "none"}
	if !slices.Contains(modes, text) {
		r(pos{}, "is "+quote(text), didYouMean(text, modes)+mustBe(v))
		return
	}
	*v.p = Reset{Mode: text}
}

func (v resetValue) literal() string {
	if v.p.Mode == "exec" {
		return list(v.p.Exec)
	}
	return spellString(v.p.Mode)
}
func (v resetValue) allowed() string { return `"restart", "none" or a command as a list of strings` }

// A nodesValue is the list of nodes of an attached cluster.
type nodesValue struct{ p *[]map[string]string }

func (v nodesValue) set(n *node, r report) {
	if n.kind != kindArray {
		wrongKind(n, v, r)
		return
	}
	if len(n.items) == 0 || len(n.items) > maxNodes {
		r(pos{}, fmt.Sprintf("has %d elements", len(n.items)), mustBe(v))
		return
	}
	nodes, ok := make([]map[string]string, len(n.items)), true
	bad := func(at pos, problem, remedy string) {
		r(at, problem, remedy)
		ok = false
	}
	owners := map[string]int{} // of an address
	for i, item := range n.items {
		if item.kind != kindTable || len(item.members) == 0 {
			bad(item.at, fmt.Sprintf("has %s as element %d", nonEmpty(item), i+1), mustBe(v))
			continue
		}
		nodes[i] = map[string]string{}
		for _, m := range item.members {
			if problem, remedy := checkName(m.name); problem != "" {
				bad(m.at, "has "+quote(m.name)+" as a key, which "+problem, remedy)
				continue
			}
			if m.value.kind != kindString {
				bad(m.value.at, "has "+m.value.String()+" as the address of "+m.name, `write a string, "host:port"`)
				continue
			}
			addr := m.value.text
			if problem, remedy := checkAddr(addr); problem != "" {
				bad(m.value.at, "has "+quote(addr)+" as the address of "+m.name+", which "+problem, remedy)
				continue
			}
			if j, taken := owners[addr]; taken {
				bad(m.value.at, fmt.Sprintf("has %s in element %d and in element %d", quote(addr), j+1, i+1), "give each port of each node its own address")
				continue
			}
			owners[addr] = i
			nodes[i][m.name] = addr
		}
	}
	if !ok {
		return
	}
	for i, item := range n.items[1:] {
		for _, m := range item.members {
			if nodes[0][m.name] == "" {
				bad(m.at, fmt.Sprintf("has the port %s in element %d and not in element 1", m.name, i+2), "name the same ports for every node")
			}
		}
		for _, m := range n.items[0].members {
			if item.member(m.name) == nil {
				bad(item.at, fmt.Sprintf("has the port %s in element 1 and not in element %d", m.name, i+2), "name the same ports for every node")
			}
		}
	}
	if ok {
		*v.p = nodes
	}
}

func nonEmpty(n *node) string {
	if n.kind == kindTable {
		return "an empty table"
	}
	return n.String()
}

func (v nodesValue) parse(text string, r report) { parseTOML(text, v, r) }

func (v nodesValue) literal() string {
	tables := make([]string, len(*v.p))
	for i, addrs := range *v.p {
		tables[i] = inlineTable(addrs)
	}
	return "[" + strings.Join(tables, ", ") + "]"
}

func (v nodesValue) allowed() string {
	return fmt.Sprintf(`a list of 1 to %d nodes, each a table from port names to addresses: [{ client = "host:2379" }]`, maxNodes)
}

func list(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = spellString(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func inlineTable(m map[string]string) string {
	if len(m) == 0 {
		return "{}"
	}
	pairs := make([]string, 0, len(m))
	for k, v := range m {
		pairs = append(pairs, spellKey(k)+" = "+spellString(v))
	}
	slices.Sort(pairs)
	return "{ " + strings.Join(pairs, ", ") + " }"
}

// spellString writes a string for the file. Go's escapes are not all TOML's.
func spellString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func spellKey(key string) string {
	if isBare(key) {
		return key
	}
	return spellString(key)
}

// quote shows a string in a message: on one line, and not all of it if it is
// very long.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "…"
	}
	return strconv.Quote(s)
}

func oneOf(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " or " + quoted[len(quoted)-1]
}
