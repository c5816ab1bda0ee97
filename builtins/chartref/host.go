// SPDX-License-Identifier: Apache-2.0

package chartref

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

var defaultPorts = map[string]string{"oci": "443", "https": "443", "http": "80"}

// CanonicalHost gives authority, a host with or without a port, the form that
// it has in [Ref.Host]: lower case, without the default port of scheme, IPv6
// addresses as RFC 5952 writes them. Two authorities are the same place if,
// and only if, these forms are equal.
//
// It fails for userinfo, a port outside 1 to 65535, and a host that is no
// ASCII DNS name or IP address. Underscores are let pass, since names inside
// networks have them and no client reads them differently. A final dot is not:
// it is a second name for one host. Nor is a name such as 127.1 or 0x7f000001,
// which some resolvers take for an address.
func CanonicalHost(scheme, authority string) (string, error) {
	name, port, err := splitPort(authority)
	if err != nil {
		return "", err
	}
	name, err = canonicalName(lower(name))
	if err != nil || port == "" || port == defaultPorts[scheme] {
		return name, err
	}
	return name + ":" + port, nil
}

// lower is s with ASCII's letters in lower case, and no others: there are
// letters outside of ASCII, such as the Kelvin sign, whose lower case is in it.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// splitPort quotes nothing of the authority, since what it does not understand
// may be a password.
func splitPort(authority string) (name, port string, err error) {
	if authority == "" {
		return "", "", errors.New("host is missing")
	}
	if strings.Contains(authority, "@") {
		return "", "", errors.New("userinfo stands before the host; credentials belong in the configuration")
	}
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || strings.HasSuffix(authority, "]") {
		return authority, "", nil
	}
	name, port = authority[:colon], authority[colon+1:]
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", "", errors.New("port is not a number from 1 to 65535")
	}
	return name, port, nil
}

func canonicalName(name string) (string, error) {
	if literal, ok := strings.CutPrefix(name, "["); ok {
		return canonicalIPv6(name, strings.TrimSuffix(literal, "]"))
	}
	if endsInNumber(name) {
		addr, err := netip.ParseAddr(name)
		if err != nil || !addr.Is4() {
			return "", fmt.Errorf("host %s ends in a number and is no IPv4 address", quote(name))
		}
		return name, nil
	}
	if len(name) > 253 {
		return "", fmt.Errorf("host %s has %d bytes, a DNS name has at most 253", quote(name), len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if !dnsLabel(label) {
			return "", fmt.Errorf("host %s is no DNS name: its label %s is not 1 to 63 letters, digits, inner hyphens and underscores", quote(name), quote(label))
		}
	}
	return name, nil
}

func canonicalIPv6(name, literal string) (string, error) {
	addr, err := netip.ParseAddr(literal)
	if err != nil || !addr.Is6() || addr.Zone() != "" || name != "["+literal+"]" {
		return "", fmt.Errorf("host %s is no IPv6 address in brackets, without zone", quote(name))
	}
	return "[" + addr.String() + "]", nil
}

func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

func dnsLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
