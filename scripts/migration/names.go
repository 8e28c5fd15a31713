package main

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A name is one public name of the library.
type name struct {
	section string // that defines or first uses it: "2.3"; "0" before the first
	text    string // as it is written, with dots
	defined bool
}

// Where the README defines names: each group that matches is one, or several with commas.
var definitions = []*regexp.Regexp{
	regexp.MustCompile(`^(\w+)\s+(?:int|bool|str)\s`),                                         // a table of options
	regexp.MustCompile(`^\s*\d+\. (\w+): default`),                                            // a numbered option
	regexp.MustCompile(`^\s*logobj\.(\w+), def`),                                              // an attribute
	regexp.MustCompile(`^\s*(indent_type) and num`),                                           //
	regexp.MustCompile(`^\s*([A-Za-z_]\w*) ?= ?(?:[\d.e-]+|""), `),                            // an argument with its default
	regexp.MustCompile(`^\s*([A-Za-z_]\w*): (?:the|target|insert|list) `),                     // an argument and what it is
	regexp.MustCompile(`^\s*(LoopTime) = 1: `),                                                //
	regexp.MustCompile(`^Security\.([A-Z]+), `),                                               // a kind of lock
	regexp.MustCompile(`XME<4\.0, class \w+: ([\w.]+\w)`),                                     // a name before 4.0
	regexp.MustCompile(`^\*\*(__\w+__)\*\*: `),                                                // a reserved table
	regexp.MustCompile(`sys\.argv\[i\]=="(-\w)"`),                                             // a flag
	regexp.MustCompile(`^\s*xme\.(fun)\(\*(targ),\*\*(args)\):`),                              // methods and their arguments
	regexp.MustCompile(`^\s*xme\.(funs)\(funum_array`),                                        //
	regexp.MustCompile(`^\s*mon\.(update)\(`),                                                 //
	regexp.MustCompile(`\b(mpi\.run)\(#`),                                                     //
	regexp.MustCompile(`MPI\(main,(pnum)=`),                                                   //
	regexp.MustCompile(`XMEMPI\.acquire\(\w+, (args)=`),                                       //
	regexp.MustCompile(`keys of (status) and (conns)`),                                        //
	regexp.MustCompile(`"(Status)":False`),                                                    //
	regexp.MustCompile(`^\s*(print) \*\(`),                                                    //
	regexp.MustCompile(`add (broadcast) function`),                                            //
	regexp.MustCompile(`such as (Queue), (Pipe), (Value), (Manager) and the (shared_memory)`), //
	regexp.MustCompile(`from (multiprocess\.Manager\(\)\.Lock\(\))`),                          //
	regexp.MustCompile(`^(pip3 install XME)`),                                                 //
	regexp.MustCompile(`^from XME\.[\w.]+ import ([\w,]+)`),                                   //
}

// signature is a method's line in a list of methods: name(arguments) # what it does.
var signature = regexp.MustCompile(`^\s*(\w+)\(([^#]*)\) ?#`)

// Where it uses them, in programs or in text.
var uses = []*regexp.Regexp{
	regexp.MustCompile(`\b(XME(?:\.\w+)+)`),
	regexp.MustCompile(`\b(?:xme|XMEMPI|mpi|XMEManager|XMEManger|xmem|sec|mon|tmpmon|xmehj|xmeguard|logobj)\.(\w+)`),
	regexp.MustCompile(`\bSecurity\.(\w+)`),
	regexp.MustCompile(`(\b__[A-Za-z]\w*__)`),
	regexp.MustCompile(`"(\w+::\w+)"`),
	regexp.MustCompile(`\b([A-Z]+_[A-Z_]+)\b`),
	regexp.MustCompile(`\b(mpi_buffer_size|block_acquire|XMESI|XMEMPI|XMEManager|mpi\["distance"\])`),
}

// title begins the README, also a second one behind the first.
const title = "# Xenon-Multiprocessing-Engine"

// fences begin and end programs; heading begins a section.
var (
	heading = regexp.MustCompile(`^#{1,3} (\d+(?:\.\d+)*)? ?\S`)
	word    = regexp.MustCompile(`[A-Za-z_]\w*`)
	keyword = regexp.MustCompile(`[(,]\s*\*{0,2}([A-Za-z_]\w*)\s*=`)
	literal = regexp.MustCompile(`"[^"]*"|'[^']*'`)
)

// namesOf returns the names that a README has, and an error if a word of its programs is neither a name, nor Python's, nor a program's own.
func namesOf(text string) ([]name, error) {
	found := map[string]name{}  // by section and text
	first := map[string]bool{}  // texts that have been seen
	once := map[string]string{} // by definition and text, the section that has it: one form of definition serves a name once
	var words []name
	section, program, remark := "0", false, false
	note := func(s string, defined bool) {
		if s == "" || !defined && (ownNames[s] || pythonNames[s]) {
			return
		}
		key := section + " " + s
		if !defined && (first[s] || found[key].defined) {
			return
		}
		first[s] = true
		found[key] = name{section, s, defined || found[key].defined}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(strings.ReplaceAll(line, `\_`, "_"), "\r\n")
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			program, remark = !program, false
			continue
		}
		if strings.HasPrefix(line, title) { // it holds two versions of itself, the first cut off
			program, section = false, "0"
		}
		if m := heading.FindStringSubmatch(line); m != nil && !program {
			section = cmpOr(m[1], "0")
		}
		for i, d := range definitions {
			if m := d.FindStringSubmatch(line); m != nil {
				for n := range strings.SplitSeq(strings.Join(m[1:], ","), ",") {
					if by := fmt.Sprint(i, " ", n); once[by] == "" || once[by] == section {
						once[by] = section
						note(n, true)
					}
				}
			}
		}
		if m := signature.FindStringSubmatch(line); m != nil && program && !statement[m[1]] {
			note(m[1], true)
			for _, a := range word.FindAllString(literal.ReplaceAllString(m[2], ""), -1) {
				note(a, !ownNames[a] && !pythonNames[a])
			}
		}
		for _, u := range uses {
			for _, m := range u.FindAllStringSubmatch(line, -1) {
				note(m[1], false)
			}
		}
		if program {
			code, _, _ := strings.Cut(line, "#")
			for _, m := range keyword.FindAllStringSubmatch(code, -1) {
				note(m[1], false)
			}
			if strings.Count(code, "'''")%2 == 1 {
				remark = !remark
			} else if !remark {
				for _, w := range word.FindAllString(literal.ReplaceAllString(code, ""), -1) {
					words = append(words, name{section, w, false})
				}
			}
		}
	}
	return settle(found, words)
}

// settle leaves out uses of what is defined somewhere, and looks for words that nothing accounts for.
func settle(found map[string]name, words []name) ([]name, error) {
	defined, parts := map[string]bool{}, map[string]bool{}
	for _, n := range found {
		for _, p := range word.FindAllString(n.text, -1) {
			parts[p] = true
		}
		if n.defined {
			defined[n.text] = true
		}
	}
	var list []name
	for _, k := range slices.Sorted(maps.Keys(found)) {
		if n := found[k]; n.defined || !defined[n.text] {
			list = append(list, n)
		}
	}
	var lost []string
	for _, w := range words {
		if !parts[w.text] && !pythonNames[w.text] && !ownNames[w.text] {
			lost = append(lost, w.section+" "+w.text)
		}
	}
	if len(lost) > 0 {
		slices.Sort(lost)
		return nil, fmt.Errorf("words of programs that are neither names, nor Python's, nor their own: %s", strings.Join(slices.Compact(lost), ", "))
	}
	return list, nil
}

func renderNames(list []name) []byte {
	var b bytes.Buffer
	b.WriteString("# The public names of the Python library XME 4.2, before and since 4.0, each behind the section of its README that defines it.\n" +
		"# Written by: go run ./scripts/migration -names README\n")
	for _, n := range list {
		fmt.Fprintf(&b, "%s\t%s\n", n.section, n.text)
	}
	return b.Bytes()
}

// readNames reads what renderNames wrote.
func readNames(text string) ([]name, error) {
	var list []name
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		section, s, ok := strings.Cut(line, "\t")
		if !ok || section == "" || s == "" {
			return nil, fmt.Errorf("%s: want a section, a tab and a name in %q", namesFile, line)
		}
		list = append(list, name{section: section, text: s})
	}
	return list, nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// set makes a set of words.
func set(text string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(text) {
		m[w] = true
	}
	return m
}

// statement begins a line that looks like a call and is none.
var statement = set(`if for while print def`)

var pythonNames = set(`and as break class continue def else elif for from if import in lambda None not or pass return self True False while
	int float str bool len list dict tuple range sum print open super dir deepcopy true false
	__init__ __main__ __name__ __str__ __add__ __get__ os copy time random multiprocessing np numpy array threading
	Thread target join Event wait sys argv uniform`)

// ownNames are what the programs of the README call their own.
var ownNames = set(`XME.Arrays pip3 fun1 fun2 fun3 funN values xme i noxme time_no_xme_0 time_no_xme_1 time_use_xme_0 time_use_xme_1
	BasicServices Main ServicesA ServicesB a0 a1 a2 kw1 kw2 example_fun ser th a b c x y This is function
	Class_Name shared_object target_fun xmem sec shared_list mm mon other_parameters tmpmon
	Message address compact_function conn external_function_set logic logical m_msg mark message msg of parses recv result send service
	some someoptions target_fun_key uncompact_function unique unique_mark
	V add op xmeguard xmehj l01 l02 l12 main p1 p2 points bufferpos01 bufferpos02 bufferpos12 value v
	scatter nums subnums buffpos run lens newlens autoupdate event res r t0 file fun targetfun functions __Message__All distance kets key Monitor`)
