package lib.patterns_test

import data.lib.patterns

_valid := {
	"oci://registry.example.com/charts/web",
	"oci://registry.example.com/charts/a--b__c.d",
	"oci://a.rather.long.name.of.a.registry.that.is.somewhere.example.com/with/a/long/path/**",
	"oci://registry.example.com/**",
	"oci://registry.example.com:5000/charts/*",
	"oci://*.example.com/charts/*/web/**",
	"oci://*.example.com:5000/**",
	"https://charts.example.com/stable/web",
	"https://charts.example.com/A_b~c/*",
	"https://charts.example.com/a@b/**",
	"https://127.0.0.1:8443/**",
	"https://[2001:db8::1]/**",
	"http://charts.example.com:443/**",
	"https://localhost/*",
}

test_patterns if {
	every pattern in _valid {
		patterns.valid(pattern)
		patterns.fault(pattern) == ""
	}
}

# What is seen at a glance is seen at length, too.
test_plain_patterns_are_patterns if {
	every pattern in _valid {
		patterns.fault(pattern) == "" with data.lib.patterns._plain as false
	}
}

_invalid := {
	"": "want scheme",
	"*": "want scheme",
	"**": "want scheme",
	"charts.example.com/**": "want scheme",
	"file:///srv/**": "want scheme",
	"OCI://registry.example.com/**": "want scheme",
	"*://registry.example.com/**": "want scheme",
	"https://charts.example.com": "want scheme",
	"https://charts.example.com/": "want scheme",
	"https:///web": "want the host",
	"https://*/web": "want the host",
	"https://*./web": "want the host",
	"https://*.*.example.com/web": "want the host",
	"https://charts.*.com/web": "want the host",
	"https://*charts.example.com/web": "want the host",
	"https://*.1/web": "want the host",
	"https://*.0.0.1/web": "want the host",
	"https://*.0x1/web": "want the host",
	"https://*.[::1]/web": "want the host",
	"https://Charts.example.com/web": "want the host",
	"https://charts.example.com:443/web": "want the host",
	"http://charts.example.com:80/web": "want the host",
	"https://charts.example.com:*/web": "want the host",
	"https://user@charts.example.com/web": "want the host",
	"https://user:password@charts.example.com/web": "want the host",
	"https://charts.example.com./web": "want the host",
	"https://chаrts.example.com/web": "want the host",
	"https://charts.example.com?/web": "want the host",
	"https://[2001:DB8::1]/web": "want the host",
	"https://charts.example.com/**/web": "** stands",
	"https://charts.example.com//web": "a segment",
	"https://charts.example.com/web/": "a segment",
	"https://charts.example.com/./web": "a segment",
	"https://charts.example.com/a/..": "a segment",
	"https://charts.example.com/web-*": "a segment",
	"https://charts.example.com/***": "a segment",
	"https://charts.example.com/a%2fb": "a segment",
	"https://charts.example.com/a b": "a segment",
	"https://charts.example.com/web?x": "a segment",
	"https://charts.example.com/web#x": "a segment",
	"https://charts.example.com/web\n": "a segment",
	"oci://registry.example.com/charts/web:1.2.3": "a segment",
	"oci://registry.example.com/charts/Web": "a segment",
	"oci://registry.example.com/charts/web@sha256:00": "a segment",
}

test_no_patterns if {
	every pattern, beginning in _invalid {
		not patterns.valid(pattern)
		startswith(patterns.fault(pattern), beginning)
		not patterns.matches(pattern, "https://charts.example.com/web")
	}
}

test_other_shapes_are_no_patterns if {
	every shape in [null, 17, true, [], {}, set(), ["oci://registry.example.com/**"]] {
		patterns.valid(shape) == false
		patterns.fault(shape) == "a pattern is a string"
		patterns.matches(shape, "oci://registry.example.com/web") == false
		patterns.matches("oci://registry.example.com/**", shape) == false
		patterns.best({shape}, "oci://registry.example.com/web") == set()
		patterns.best(shape, 17) == set()
	}
}

# Each pattern with what it means, and what it does not.
_cases := {
	"oci://registry.example.com/charts/web": {
		true: ["oci://registry.example.com/charts/web"],
		false: [
			"oci://registry.example.com/charts",
			"oci://registry.example.com/charts/web2",
			"oci://registry.example.com/charts/web/more",
			"oci://registry.example.com/charts/Web",
			"https://registry.example.com/charts/web",
			"oci://registry.example.com:5000/charts/web",
			"oci://evil-registry.example.com/charts/web",
			"oci://registry.example.com.evil.example/charts/web",
			"oci://registry.example.com@evil.example/charts/web",
			"oci://evil.example/registry.example.com/charts/web",
		],
	},
	"https://charts.example.com/allowed/*": {
		true: ["https://charts.example.com/allowed/web", "https://charts.example.com/allowed/*"],
		false: [
			"https://charts.example.com/allowed",
			"https://charts.example.com/allowed/",
			"https://charts.example.com/allowed/a/b",
			"https://charts.example.com/allowed-evil/web",
			"https://charts.example.com//allowed/web",
			"http://charts.example.com/allowed/web",
		],
	},
	"https://charts.example.com/**": {
		true: ["https://charts.example.com/a", "https://charts.example.com/a/b/c"],
		false: ["https://charts.example.com", "https://charts.example.com/", "https://charts.example.com//", "https://charts.example.com:8443/a", "https://a.charts.example.com/a"],
	},
	"https://charts.example.com/*/**": {
		true: ["https://charts.example.com/a/b", "https://charts.example.com/a/b/c"],
		false: ["https://charts.example.com/a", "https://charts.example.com/a/", "https://charts.example.com//b"],
	},
	"oci://*.example.com/**": {
		true: ["oci://a.example.com/x", "oci://a.b.example.com/x/y"],
		false: [
			"oci://example.com/x",
			"oci://.example.com/x",
			"oci://evil-example.com/x",
			"oci://aexample.com/x",
			"oci://a.example.com.evil.example/x",
			"oci://a.example.com:5000/x",
			"oci://user@a.example.com/x",
			"oci://a.example.com",
		],
	},
	"oci://*.example.com:5000/**": {
		true: ["oci://a.example.com:5000/x"],
		false: ["oci://a.example.com/x", "oci://a.example.com:50000/x", "oci://a.example.com:5/x", "oci://example.com:5000/x"],
	},
}

test_matches if {
	every pattern, expected in _cases {
		every verdict, locations in expected {
			every location in locations {
				patterns.matches(pattern, location) == verdict
			}
		}
	}
}

test_nothing_lies_nowhere if {
	every location in ["", "/", "//", "https:", "https://", "charts.example.com", "https://charts.example.com"] {
		not patterns.matches("https://charts.example.com/**", location)
	}
}

_all := [
	"https://*.com/**",
	"https://*.example.com/**",
	"https://charts.example.com/**",
	"https://charts.example.com/*/**",
	"https://charts.example.com/*/web",
	"https://charts.example.com/stable/**",
	"https://charts.example.com/stable/*",
	"https://charts.example.com/stable/web",
]

# Each is better than all before it, however few of them there are.
test_literal_beats_star_beats_stars if {
	every i, pattern in _all {
		patterns.best(array.slice(_all, 0, i + 1), "https://charts.example.com/stable/web") == {pattern}
	}
}

test_only_what_matches_decides if {
	patterns.best(_all, "https://charts.example.com/other/web") == {"https://charts.example.com/*/web"}
	patterns.best(_all, "https://charts.example.com/other/api") == {"https://charts.example.com/*/**"}
	patterns.best({pattern | some pattern in _all}, "https://charts.example.com/other") == {"https://charts.example.com/**"}
	patterns.best(_all, "https://a.b.example.com/x") == {"https://*.example.com/**"}
	patterns.best(_all, "https://elsewhere.org/x") == set()
	patterns.best([], "https://charts.example.com/x") == set()
}

test_invalid_pattern_decides_nothing if {
	patterns.best(["https://charts.example.com/**", "https://charts.example.com/%77eb"], "https://charts.example.com/web") == {"https://charts.example.com/**"}
}
