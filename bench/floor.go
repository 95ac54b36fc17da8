package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/tools/go/packages"
)

// A floor is what this program does in place of measuring where floorEnv says
// so: the least that distgen could do, in a process of its own as distgen is.
const (
	floorEnv  = "DIST_BENCH_FLOOR"
	floorScan = "scan" // search the test files of the directories for a string
	floorLoad = "load" // load the packages, as they are needed to tell what their tests need
)

// beFloor does what floorEnv asks for, and reports whether it asks for anything.
func beFloor(args []string) bool {
	var err error
	switch kind := os.Getenv(floorEnv); kind {
	case "":
		return false
	case floorScan:
		err = scanTests(args)
	case floorLoad:
		err = loadPackages(args)
	default:
		err = fmt.Errorf("%s=%s is no floor", floorEnv, kind)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// scanTests goes through what is below ".", and through the very directories
// that are given by any other name.
func scanTests(dirs []string) error {
	var buffer bytes.Buffer
	scan := func(name string) error {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		buffer.Reset()
		if _, err := buffer.ReadFrom(f); err != nil {
			return err
		}
		if bytes.Contains(buffer.Bytes(), []byte("//dist:")) {
			fmt.Println(name)
		}
		return nil
	}
	for _, dir := range dirs {
		if dir == "." {
			if err := walkTests(dir, scan); err != nil {
				return err
			}
			continue
		}
		names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := scan(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func loadPackages(patterns []string) error {
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedTypesInfo |
			packages.NeedModule | packages.NeedForTest,
		Tests: true,
	}, patterns...)
	if err != nil {
		return err
	}
	for _, p := range pkgs {
		for _, e := range p.Errors {
			return e
		}
	}
	return nil
}
