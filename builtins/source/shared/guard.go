// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// What a reply may be. The client makes room for whatever length a server
// announces, so lengths are judged before it sees them.
const (
	maxLine   = 4 << 10 // an error, a status
	maxString = 4 << 20 // more than anything that is shared
	// Only the greeting has lists, a few for each module of the server.
	maxList  = 1 << 10
	maxLists = 1 << 10
)

// A guard is a connection that ends where the server says what no honest one
// does. It reads the frames of RESP2, and leaves their meaning to the client.
type guard struct {
	net.Conn
	socket net.Conn // below TLS
	line   []byte   // as far as it has come
	skip   int      // bytes left of a string
	lists  int
}

// A frameError quotes no more than one byte of a reply.
type frameError string

func (e frameError) Error() string { return string(e) }

func badFrame(format string, args ...any) error {
	return frameError("reply: " + fmt.Sprintf(format, args...))
}

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if wrong := g.see(p[:n]); wrong != nil {
		return 0, wrong
	}
	return n, err
}

func (g *guard) see(b []byte) error {
	for len(b) > 0 {
		if n := min(g.skip, len(b)); n > 0 {
			g.skip, b = g.skip-n, b[n:]
			continue
		}
		text, rest, whole := bytes.Cut(b, []byte("\n"))
		g.line = append(g.line, text...)
		if len(g.line) > maxLine {
			return badFrame("line of more than %d bytes", maxLine)
		}
		if !whole {
			return nil
		}
		if err := g.judge(string(bytes.TrimSuffix(g.line, []byte("\r")))); err != nil {
			return err
		}
		g.line, b = g.line[:0], rest
	}
	return nil
}

func (g *guard) judge(line string) error {
	if line == "" {
		return badFrame("empty line")
	}
	switch line[0] {
	case '+', '-', ':':
		return nil
	case '$':
		n, err := length(line[1:], maxString)
		if n >= 0 {
			g.skip = n + len("\r\n")
		}
		return err
	case '*':
		if g.lists++; g.lists > maxLists {
			return badFrame("more than %d lists", maxLists)
		}
		_, err := length(line[1:], maxList)
		return err
	}
	return badFrame("unknown kind %q", line[:1])
}

// length is -1 for nothing.
func length(text string, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 || n > most {
		return -1, badFrame("length is not -1 to %d", most)
	}
	return n, nil
}

// SyscallConn lets the client see that an idle connection has ended.
func (g *guard) SyscallConn() (syscall.RawConn, error) {
	socket, ok := g.socket.(syscall.Conn)
	if !ok {
		return nil, errors.New("connection is no socket")
	}
	return socket.SyscallConn()
}
