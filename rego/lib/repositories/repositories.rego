# METADATA
# title: Repositories
# description: Tells whether something lies in one of the repositories that an administrator listed, at the borders of hosts and path segments and nowhere between them.
package lib.repositories

import data.lib.patterns
import data.lib.refs

# METADATA
# title: Valid
# description: >-
#   Whether a listed repository can be told from others: it is a pattern, or would
#   be one with a segment more, as the bare host of a chart repository.
default valid(_) := false

valid(repository) if patterns.valid(repository)

valid(repository) if patterns.valid(_below(repository))

# METADATA
# title: Hold
# description: >-
#   Whether a location is one of the listed repositories, or below one.
default hold(_, _) := false

hold(repositories, location) if {
	is_string(location)
	count(patterns.best({asked | some repository in repositories; some asked in {repository, _below(repository)}}, location)) > 0
}

# METADATA
# title: Cover
# description: >-
#   Whether all that lies at an address, which need not name a chart, lies in the
#   listed repositories. It does if a listed one holds whatever is right below.
default cover(_, _) := false

cover(repositories, address) if {
	at := refs.url(address)
	at.ok
	root := sprintf("%s://%s", [at.scheme, at.host])
	some repository in repositories
	patterns.matches(_whole(repository), concat("/", array.concat([root], array.concat(at.path, ["any"]))))
}

# All that is below a repository; the literal end of a pattern is not it.
_whole(repository) := repository if {
	is_string(repository)
	endswith(repository, "/**")
} else := _below(repository)

_below(repository) := sprintf("%s/**", [repository]) if is_string(repository)
