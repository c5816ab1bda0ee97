# METADATA
# title: Messages
# description: Makes what a policy says to people one printable line, whatever foreign text is in it.
package lib.messages
