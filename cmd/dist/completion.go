package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

const completionHelp = `usage: dist completion bash|zsh|fish

Prints a script that makes the shell complete commands, flags, programs and
clusters of dist. It asks dist itself for the words, and so never goes stale.

Examples:

  source <(dist completion bash)                                    in ~/.bashrc
  source <(dist completion zsh)                                     in ~/.zshrc, after compinit
  dist completion fish > ~/.config/fish/completions/dist.fish

Exit status: 0; 2 for a shell that is not known.
`

// completing is the command that the scripts run, with the words of the command
// line up to the one under the cursor. It prints one candidate a line; a line
// ":files" leaves the rest to the shell.
const completing = "__complete"

// completionScripts are what the shells have to be told. Each hands its words
// to dist as they are, empty last one included.
var completionScripts = map[string]string{
	"bash": `# bash completion for dist
_dist() {
	local cur=${COMP_WORDS[COMP_CWORD]} line
	COMPREPLY=()
	# bash breaks words at = and : too; an = and what follows it belong together.
	while IFS= read -r line; do
		if [[ $line == :files ]]; then
			while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$cur")
			compopt -o filenames 2>/dev/null
		else
			COMPREPLY+=("$line")
		fi
	done < <("${COMP_WORDS[0]}" ` + completing + ` "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _dist dist
`,
	"zsh": `#compdef dist
_dist() {
	local -a lines
	lines=("${(@f)$("${words[1]}" ` + completing + ` "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if (( ${lines[(Ie):files]} )); then
		_files
		lines=("${(@)lines:#:files}")
	fi
	compadd -- "${(@)lines:#}"
}
compdef _dist dist
`,
	"fish": `# fish completion for dist
function __dist_complete
	set -l words (commandline -opc) (commandline -ct)
	for line in ($words[1] ` + completing + ` $words[2..-1] 2>/dev/null)
		if test "$line" = ":files"
			__fish_complete_path (commandline -ct)
		else
			echo $line
		end
	end
end
complete -c dist -f -a '(__dist_complete)'
`,
}

func shells() []string { return []string{"bash", "zsh", "fish"} }

func setupCompletion(*flag.FlagSet) action {
	return func(_ context.Context, args []string, s streams) error {
		if len(args) == 0 {
			return fmt.Errorf("which shell? one of %s", strings.Join(shells(), ", "))
		}
		if err := noArguments("completion", args[1:]); err != nil {
			return err
		}
		script, ok := completionScripts[args[0]]
		if !ok {
			return fmt.Errorf("no completion for %q, only for %s", args[0], strings.Join(shells(), ", "))
		}
		io.WriteString(s.out, script)
		return nil
	}
}

// flagWords are the values of flags that take one of a few words.
var flagWords = map[string][]string{
	"mode":   {"auto", "manual", "off"},
	"reuse":  {"auto", "always", "never"},
	"engine": {"process"},
}

// complete prints the candidates for the last of the words.
func complete(words []string, out io.Writer) {
	if len(words) == 0 {
		words = []string{""}
	}
	for _, w := range candidates(words[:len(words)-1], words[len(words)-1]) {
		fmt.Fprintln(out, w)
	}
}

// candidates returns the words that may stand for cur behind before.
func candidates(before []string, cur string) []string {
	fitting := func(words []string) []string {
		return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !strings.HasPrefix(w, cur) })
	}
	if len(before) == 0 {
		return fitting(commandNames())
	}
	c := lookup(before[0])
	if c == nil || slices.Contains(before, "--") {
		return []string{":files"}
	}
	flags := newFlags(c.name)
	c.setup(flags)
	// bash hands over -mode=a as three words.
	last := before[len(before)-1]
	if cur == "=" {
		last, cur = before[len(before)-1], ""
	} else if last == "=" && len(before) > 1 {
		last = before[len(before)-2]
	}
	if name, value, ok := strings.Cut(cur, "="); ok && strings.HasPrefix(name, "-") { // the other shells do not
		var all []string
		for _, w := range flagWords[strings.TrimLeft(name, "-")] {
			if strings.HasPrefix(w, value) {
				all = append(all, name+"="+w)
			}
		}
		return all
	}
	if name, ok := strings.CutPrefix(last, "-"); ok {
		name = strings.TrimPrefix(name, "-")
		if words := flagWords[name]; words != nil && flags.Lookup(name) != nil {
			return fitting(words)
		}
		if takesValue(c, flags, name) {
			return []string{":files"}
		}
	}
	if strings.HasPrefix(cur, "-") {
		var names []string
		flags.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
		if c.raw {
			for name := range goTestFlags {
				if flags.Lookup(name) == nil {
					names = append(names, "-"+name)
				}
			}
		}
		slices.Sort(names)
		return fitting(names)
	}
	if c.words == nil {
		return []string{":files"}
	}
	return fitting(c.words())
}

// takesValue reports whether the word after a flag is its value.
func takesValue(c *command, flags *flag.FlagSet, name string) bool {
	if f := flags.Lookup(name); f != nil {
		b, ok := f.Value.(interface{ IsBoolFlag() bool })
		return !ok || !b.IsBoolFlag()
	}
	kind, known := goTestFlags[name]
	return c.raw && known && kind&boolean == 0
}
