package lib.mocks_test

import data.lib.mocks

_digest := "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

_request(ref) := {"check": "cosign.verify", "opts": {}, "ref": ref}

_pinned := _request(concat("", ["oci://H.example/web:1.2.3@", _digest]))

_tagged := _request("oci://h.example/web:1.2.3")

_named := _request({"repository": "https://h.example", "name": "web", "version": "1.2.3"})

test_verified_is_the_chart_that_is_named if {
	reports := mocks.verified({_pinned, _tagged, _named})
	count(reports) == 3
	reports[_pinned] == mocks.report({
		"ref": concat("", ["oci://h.example/web:1.2.3@", _digest]),
		"digest": _digest,
		"chart": {"name": "web", "version": "1.2.3", "digest": _digest},
	})
	reports[_tagged].digest != reports[_named].digest
	reports[_named].chart.name == "web"
	every report in reports {
		report.verified
		report.code == "ok"
	}
}

test_rejected if {
	mocks.rejected({_tagged}) == {_tagged: mocks.report({
		"verified": false,
		"outcome": "rejected",
		"code": "untrusted_signer",
		"reason": "no signer is trusted",
		"ref": "oci://h.example/web:1.2.3",
	})}
}

test_undecided if {
	mocks.undecided({_tagged}) == {_tagged: mocks.report({
		"verified": false,
		"outcome": "undecided",
		"code": "unavailable",
		"reason": "the provider gave no verdict",
		"ref": "oci://h.example/web:1.2.3",
	})}
}

test_report_has_its_fields_replaced if {
	mocks.report({"chart": {"name": "web"}, "trust": "t"}).chart == {"name": "web", "version": "", "digest": ""}
	mocks.report({"trust": "t"}).trust == "t"
	mocks.report(17) == mocks.report({})
}

test_requests_of_any_shape_are_answered if {
	requests := {null, 17, "text", [], {}, {"check": 1}, {"ref": {"a": 1}}}
	every reports in [mocks.verified(requests), mocks.rejected(requests), mocks.undecided(requests)] {
		object.keys(reports) == requests
		every report in reports {
			object.keys(report) == object.keys(mocks.report({}))
		}
	}
	mocks.verified(17) == {}
}
