package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// dialogue is what this process says to others, over connections that stay.
type dialogue struct {
	mu      sync.Mutex
	conns   map[string]net.Conn // by address
	answers map[string]string   // by what was said, as "address text"
}

// say says a text to an address, over the connection that is there or a new one,
// and does not wait for anything.
func (d *dialogue) say(addr, text string, fresh bool) string {
	d.mu.Lock()
	c := d.conns[addr]
	d.mu.Unlock()
	if c != nil && !fresh {
		if _, err := fmt.Fprintln(c, "echo", text); err != nil {
			return err.Error()
		}
		return "ok"
	}
	go func() {
		c, err := (&net.Dialer{Timeout: 5 * time.Minute}).Dial("tcp", addr)
		if err == nil {
			_, err = fmt.Fprintln(c, "echo", text)
		}
		if err != nil {
			d.note(addr, text, err.Error())
			return
		}
		if !fresh {
			d.mu.Lock()
			d.conns[addr] = c
			d.mu.Unlock()
		}
		in := bufio.NewScanner(c)
		for in.Scan() {
			d.note(addr, in.Text(), "yes")
		}
		err = in.Err()
		if err == nil {
			err = errors.New("closed")
		}
		d.mu.Lock()
		if d.conns[addr] == c {
			delete(d.conns, addr)
		}
		d.mu.Unlock()
		d.note(addr, "the end", err.Error())
	}()
	return "ok"
}

func (d *dialogue) note(addr, text, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[addr+" "+text] = what
}

// said is whether a text was answered: "yes", "no", or why it could not be said.
func (d *dialogue) said(addr, text string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if what, ok := d.answers[addr+" "+text]; ok {
		return what
	}
	return "no"
}

// ask is the answer of an address to a line.
func ask(addr, line string) string {
	c, err := net.DialTimeout("tcp", addr, 30*time.Second)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintln(c, line)
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return answer[:len(answer)-1]
}
