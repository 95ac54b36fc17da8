package diagnostics

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// A mount is what is known of the file system that a path is on.
type mount struct {
	point    string
	fs       string
	readOnly bool
	noExec   bool
	free     uint64 // bytes for ordinary users
	size     uint64 // bytes
	inodes   uint64 // in all; 0 if there is no such limit
	noInodes bool   // none is left
}

// inspectExecutable looks at the file that was to be started: what is wrong
// with it is rarely in the system's error, which is the same for a file that is
// not there and one whose interpreter is not.
func inspectExecutable(name string) (*Executable, error) {
	if filepath.Base(name) == name {
		if found, err := exec.LookPath(name); err == nil || errors.Is(err, exec.ErrDot) {
			name = found
		}
	}
	x := &Executable{Path: name}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		x.Missing = true
		return x, nil
	}
	if err != nil {
		return nil, err
	}
	x.Mode, x.Owner = info.Mode().String(), ownerOf(info)
	x.Directory = info.IsDir()
	x.Exec = !x.Directory && (info.Mode()&0o111 != 0 || runtime.GOOS == "windows")
	if m, err := mountOf(name); err == nil && m.noExec {
		x.NoExec = m.point
	}
	if !info.Mode().IsRegular() {
		return x, nil
	}

	f, err := os.Open(name)
	if err != nil {
		return x, nil // executable without being readable: so be it
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, _ := io.ReadFull(f, head)
	x.readHead(f, head[:n])
	if x.Interpreter != "" {
		_, err := os.Stat(x.Interpreter)
		x.NoInterp = errors.Is(err, fs.ErrNotExist)
	}
	return x, nil
}

// readHead tells the format from the first bytes. Only as much of each format
// is read as it takes to name it: package debug/elf and its like would bring
// DWARF and compression into every test binary.
func (x *Executable) readHead(file io.ReaderAt, head []byte) {
	switch {
	case len(head) == 0:
		x.Format = "an empty file"
	case bytes.HasPrefix(head, []byte("#!")):
		x.Format = "a script"
		line, _, _ := bytes.Cut(head[2:], []byte("\n"))
		// A carriage return stays: it is what makes the name wrong.
		if name, _, _ := strings.Cut(strings.TrimLeft(string(line), " \t"), " "); name != "" {
			x.Interpreter = name
		}
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		x.readELF(file, head)
	case bytes.HasPrefix(head, []byte("MZ")):
		x.Format, x.Foreign = "a program for Windows", runtime.GOOS != "windows"
	case bytes.HasPrefix(head, []byte("\xcf\xfa\xed\xfe")), bytes.HasPrefix(head, []byte("\xca\xfe\xba\xbe")):
		x.Format, x.Foreign = "a program for macOS", runtime.GOOS != "darwin"
	case bytes.IndexByte(head, 0) < 0:
		x.Format = "a text file without a #! line"
	default:
		x.Format = "no known program format"
	}
}

// elfMachines are the processors that Go and its neighbours run on, by ELF's
// e_machine, named as GOARCH does.
var elfMachines = map[uint16]string{
	3: "386", 8: "mips", 21: "ppc64", 22: "s390x", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64", 258: "loong64",
}

// readELF finds the processor and the dynamic loader of an ELF file.
func (x *Executable) readELF(file io.ReaderAt, head []byte) {
	x.Format = "an ELF program, cut off"
	if len(head) < 64 {
		return
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[5] == 2 {
		order = binary.BigEndian
	}
	machine := order.Uint16(head[18:])
	arch, ok := elfMachines[machine]
	if !ok {
		arch = fmt.Sprintf("processor %d", machine)
	}
	x.Format = "an ELF program for " + arch
	x.Foreign = strings.TrimSuffix(runtime.GOARCH, "le") != arch || runtime.GOOS == "windows" || runtime.GOOS == "darwin"

	// The program headers: of the two layouts, where the table is, how large
	// an entry, how many; within an entry, offset and size of what it names.
	wide := head[4] == 2
	var table, entry, count uint64
	if wide {
		table, entry, count = order.Uint64(head[32:]), uint64(order.Uint16(head[54:])), uint64(order.Uint16(head[56:]))
	} else {
		table, entry, count = uint64(order.Uint32(head[28:])), uint64(order.Uint16(head[42:])), uint64(order.Uint16(head[44:]))
	}
	const ptInterp, maxName = 3, 4096
	if entry < 32 || wide && entry < 56 || table > 1<<40 {
		return
	}
	for i := range min(count, 128) {
		ph := make([]byte, entry)
		if _, err := file.ReadAt(ph, int64(table+i*entry)); err != nil {
			return
		}
		if order.Uint32(ph) != ptInterp {
			continue
		}
		offset, size := uint64(order.Uint32(ph[4:])), uint64(order.Uint32(ph[16:]))
		if wide {
			offset, size = order.Uint64(ph[8:]), order.Uint64(ph[32:])
		}
		if size == 0 || size > maxName || offset > 1<<40 {
			return
		}
		name := make([]byte, size)
		if _, err := file.ReadAt(name, int64(offset)); err == nil {
			x.Interpreter = string(bytes.TrimRight(name, "\x00"))
		}
		return
	}
}

// inspectDirectory looks at a directory that was to be written to, or, if it is
// not there, at the nearest thing above it that is.
func inspectDirectory(name string) (*Directory, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	d := &Directory{Asked: abs, Path: abs}
	var info fs.FileInfo
	for {
		info, err = os.Stat(d.Path)
		if err == nil {
			break
		}
		parent := filepath.Dir(d.Path)
		if parent == d.Path {
			return nil, err
		}
		d.Path = parent
	}
	d.IsDir, d.Mode, d.Owner = info.IsDir(), info.Mode().String(), ownerOf(info)
	if d.Path == d.Asked && !d.IsDir && info.Mode().IsRegular() {
		// A file was to be written: it is its directory that matters,
		// unless the file itself does not let us.
		if parent, err := os.Stat(filepath.Dir(abs)); err == nil && info.Mode().Perm()&0o222 != 0 {
			d.Path, d.Asked = filepath.Dir(abs), filepath.Dir(abs)
			d.IsDir, d.Mode, d.Owner = true, parent.Mode().String(), ownerOf(parent)
		}
	}
	m, err := mountOf(d.Path)
	if err != nil {
		if errors.Is(err, errors.ErrUnsupported) {
			err = nil
		}
		return d, err
	}
	d.Mount, d.FS, d.ReadOnly = m.point, m.fs, m.readOnly
	d.Free, d.Size, d.Inodes, d.NoInodes = m.free, m.size, m.inodes, m.noInodes
	return d, nil
}
